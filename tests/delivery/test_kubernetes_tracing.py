"""The component that sends traces: the program takes its variables, and the way to the collector is open."""

from __future__ import annotations

from urllib.parse import urlsplit

from smp.bootstrap.tracing import are_traces_wanted
from tests.support.manifests import overlay, traced


def test_traces_are_sent_with_it_and_not_without() -> None:
    """The variables are in every pod's environment, and are what the program reads."""
    for rendered, is_traced in ((traced(), True), (overlay("production"), False), (overlay("dev"), False)):
        for kind, name in (("Deployment", "smp"), ("Job", "smp-migrate"), ("CronJob", "smp-expire")):
            assert are_traces_wanted(rendered.environment(rendered.workload(kind, name))) is is_traced


def test_everything_else_stays() -> None:
    """One policy comes, the settings have another name for their other content, and no object is lost."""
    objects = {(each["kind"], each["metadata"]["name"]) for each in overlay("production").manifests}
    with_traces = {(each["kind"], each["metadata"]["name"]) for each in traced().manifests}
    assert with_traces - objects - {(kind, name) for kind, name in with_traces if kind == "ConfigMap"} == {
        ("NetworkPolicy", "smp-traces-out")
    }
    assert {kind for kind, _ in objects - with_traces} == {"ConfigMap"}
    variables = overlay("production").environment(overlay("production").workload("Deployment", "smp"))
    assert variables.items() <= traced().environment(traced().workload("Deployment", "smp")).items()


def test_the_way_to_the_collector_is_open() -> None:
    """To the port and the namespace of the endpoint, for our pods."""
    variables = traced().environment(traced().workload("Deployment", "smp"))
    endpoint = urlsplit(variables["OTEL_EXPORTER_OTLP_ENDPOINT"])
    policy = traced().one("NetworkPolicy", "smp-traces-out")
    (rule,) = policy["spec"]["egress"]
    (to,) = rule["to"]
    assert endpoint.hostname is not None
    assert endpoint.hostname.split(".")[1] == to["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert [port["port"] for port in rule["ports"]] == [endpoint.port]
    assert policy["spec"]["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "smp"}}
    assert policy["metadata"]["namespace"] == "smp"
