"""The rules that every Kubernetes object obeys: security, valid fields, and references that lead to something."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from smp import __version__
from tests.support.manifests import CASES, K8S, OVERLAYS, Rendered, Workload, overlay, rendered

KUBERNETES: Final = ("1.32", "1.37")
"""The oldest and the newest version whose schemas the objects must fit."""

CUSTOM: Final = {
    ("postgresql.cnpg.io/v1", "Cluster"),
    ("postgresql.cnpg.io/v1", "ScheduledBackup"),
    ("barmancloud.cnpg.io/v1", "ObjectStore"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
    ("external-secrets.io/v1", "ExternalSecret"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
}
OURS: Final = ("smp", "smp-migrate", "smp-expire")

WORKLOADS: Final = [(case, name) for case in OVERLAYS for name in (*OURS, *(["postgres"] if case == "dev" else []))]


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as network policies see it; an empty namespace is the one of the service."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    namespace: str = ""


def pods(case: str) -> Sequence[Pod]:
    """Return the pods of the workloads, and those that the operator creates for the database."""
    found = [Pod(each.name, each.pod_labels, each.ports) for each in rendered(case).workloads()]
    for cluster in rendered(case).of_kind("Cluster"):
        name = cluster["metadata"]["name"]
        labels = {"cnpg.io/cluster": name, **cluster["spec"]["inheritedMetadata"]["labels"]}
        found.append(Pod(name, labels, {"postgresql": 5432, "status": 8000, "metrics": 9187}))
    return found


def selected(case: str, selector: Mapping[str, Any]) -> Sequence[Pod]:
    return [pod for pod in pods(case) if matches(selector, pod)]


def matches(selector: Mapping[str, Any], pod: Pod) -> bool:
    assert set(selector) <= {"matchLabels"}
    expected: Mapping[str, str] = selector.get("matchLabels", {})
    return expected.items() <= pod.labels.items()


def workload(case: str, name: str) -> Workload:
    (found,) = [each for each in rendered(case).workloads() if each.name == name]
    return found


def test_every_workload_is_checked_here() -> None:
    assert set(WORKLOADS) == {(case, each.name) for case in OVERLAYS for each in rendered(case).workloads()}


# --- security ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "name"), WORKLOADS)
def test_a_pod_runs_without_privileges(case: str, name: str) -> None:
    """The "restricted" Pod Security Standard; also a read-only root and no access to the Kubernetes API."""
    pod, container = workload(case, name).pod, workload(case, name).container
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert not any("hostPort" in port for port in container.get("ports", []))
    assert {kind for volume in pod["volumes"] for kind in volume} <= {"name", "emptyDir", "projected"}
    assert all(volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"] if "emptyDir" in volume)
    assert pod["automountServiceAccountToken"] is False
    account = rendered(case).one("ServiceAccount", pod["serviceAccountName"])
    assert account["automountServiceAccountToken"] is False
    assert not [each for each in rendered(case).manifests if "Role" in each["kind"]]


@pytest.mark.parametrize(("case", "name"), WORKLOADS)
def test_a_pod_has_an_exact_image_resources_probes_if_it_serves_and_no_injected_variables(case: str, name: str) -> None:
    """For the Service ``smp``, Kubernetes would inject SMP_PORT and other names that ``smp`` refuses."""
    pod, container = workload(case, name).pod, workload(case, name).container
    assert re.fullmatch(r"[a-z0-9./-]+:(?!latest$)[a-z0-9][a-z0-9.-]*", container["image"])
    assert all(set(container["resources"][kind]) == {"cpu", "memory"} for kind in ("requests", "limits"))
    assert pod["enableServiceLinks"] is False
    serves = workload(case, name).kind in {"Deployment", "StatefulSet"}
    probes = {"startupProbe", "livenessProbe", "readinessProbe"} if serves else set()
    assert {key for key in container if key.endswith("Probe")} == probes


@pytest.mark.parametrize("case", OVERLAYS)
def test_our_pods_share_image_settings_and_secrets(case: str) -> None:
    first, *others = (workload(case, name) for name in OURS)
    for other in others:
        assert other.pod["volumes"] == first.pod["volumes"]
        for key in ("image", "envFrom", "volumeMounts"):
            assert other.container[key] == first.container[key]


@pytest.mark.parametrize("case", OVERLAYS)
def test_the_namespace_admits_restricted_pods_only_and_contains_every_object(case: str) -> None:
    (namespace,) = rendered(case).of_kind("Namespace")
    labels = namespace["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}
    places = {each["metadata"].get("namespace") for each in rendered(case).manifests if each is not namespace}
    assert places == {namespace["metadata"]["name"]}
    assert len({overlay(each).of_kind("Namespace")[0]["metadata"]["name"] for each in OVERLAYS}) == len(OVERLAYS)


@pytest.mark.parametrize("case", CASES)
def test_no_manifest_contains_a_secret(case: str) -> None:
    """Secrets reach a pod as files, not as variables."""
    assert not rendered(case).of_kind("Secret")
    text = yaml.safe_dump(list(rendered(case).manifests), width=10_000)
    assert not re.search(r"\b(valueFrom|secretRef|secretKeyRef):", text)
    assert set(re.findall(r"postgresql://[^:@/]+:([^@]+)@", text)) <= {"{{ .password | urlquery }}"}


# --- valid objects and references -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("case", CASES)
def test_every_object_fits_the_schema_of_kubernetes_or_is_of_a_required_operator(case: str, version: str) -> None:
    """Fields with a wrong name are found, too; an API server would drop them."""
    for manifest in rendered(case).manifests:
        if (manifest["apiVersion"], manifest["kind"]) not in CUSTOM:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_every_file_is_used_by_the_kustomization_beside_it() -> None:
    for kustomization in K8S.glob("*/**/kustomization.yaml"):
        text = kustomization.read_text(encoding="utf-8")
        files = {path.name for path in kustomization.parent.iterdir()} - {"kustomization.yaml"}
        unused = {file for file in files if not re.search(rf"\b{re.escape(file)}\b", text)}
        assert unused == ({"secret.example.yaml"} if kustomization.parent.name == "base" else set())


def test_the_base_names_no_example_and_the_overlays_run_this_version() -> None:
    """`make image` builds smp:VERSION, which `dev` uses without a registry."""
    for file in (K8S / "base").glob("*.yaml"):
        assert not re.search(r"example\.(com|org)|registry\.", file.read_text(encoding="utf-8")), file
    assert workload("dev", "smp").container["image"] == f"smp:{__version__}"
    assert workload("production", "smp").container["image"].rpartition(":")[2] == __version__


@pytest.mark.parametrize("case", CASES)
def test_every_selector_selects_pods_and_every_port_exists(case: str) -> None:
    found = rendered(case)
    served = selected(case, found.one("Deployment", "smp")["spec"]["selector"])
    assert [pod.name for pod in served] == ["smp"]
    assert list(selected(case, found.one("PodDisruptionBudget", "smp")["spec"]["selector"])) == list(served)
    for service in found.of_kind("Service"):
        (pod,) = selected(case, {"matchLabels": service["spec"]["selector"]})
        assert pod.name == service["metadata"]["name"]
        assert all(port["targetPort"] in pod.ports for port in service["spec"]["ports"])
    for monitor in found.of_kind("PodMonitor"):
        (pod,) = selected(case, monitor["spec"]["selector"])
        assert all(endpoint["port"] in pod.ports for endpoint in monitor["spec"]["podMetricsEndpoints"])
    for spread in workload(case, "smp").pod["topologySpreadConstraints"]:
        assert list(selected(case, spread["labelSelector"])) == list(served)
    assert found.one("HorizontalPodAutoscaler", "smp")["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "smp",
    }


@pytest.mark.parametrize("case", CASES)
def test_every_secret_key_that_is_used_is_created(case: str) -> None:
    """By an ExternalSecret, by the database's operator, or by hand as in the example."""
    example = yaml.safe_load((K8S / "base" / "secret.example.yaml").read_text(encoding="utf-8"))
    created = {(f"{each['metadata']['name']}-ca", "ca.crt") for each in rendered(case).of_kind("Cluster")}
    if case == "dev":
        created |= {(example["metadata"]["name"], key) for key in example["stringData"]}
    for each in rendered(case).of_kind("ExternalSecret"):
        spec = each["spec"]
        keys = spec["target"]["template"].get("data") or [item["secretKey"] for item in spec["data"]]
        created |= {(spec["target"]["name"], key) for key in keys}
    used = set(secret_keys(list(rendered(case).manifests)))
    assert used
    assert used <= created


def secret_keys(value: object) -> Iterator[tuple[str, str]]:
    """Find every ``{name, items: [{key}]}`` of a volume and every ``{name, key}`` of a custom resource."""
    if isinstance(value, Mapping):
        if set(value) == {"name", "key"}:
            yield value["name"], value["key"]
        elif set(value) == {"name", "items"}:
            yield from ((value["name"], item["key"]) for item in value["items"])
        else:
            for each in value.values():
                yield from secret_keys(each)
    elif isinstance(value, list):
        for each in value:
            yield from secret_keys(each)


# --- network policies -------------------------------------------------------------------------------------------------

GATEWAY: Final = Pod("gateway", namespace="gateway")
PROMETHEUS: Final = Pod("prometheus", namespace="monitoring")
OPERATOR: Final = Pod("operator", {"app.kubernetes.io/name": "cloudnative-pg"}, namespace="cnpg-system")
STRANGER: Final = Pod("stranger", namespace="other")
DNS: Final = Pod("dns", {"k8s-app": "kube-dns"}, {"dns": 53}, "kube-system")
COLLECTOR: Final = Pod("collector", {"app.kubernetes.io/name": "opentelemetry-collector"}, {"otlp": 4318}, "monitoring")
INTERNET: Final = Pod("internet", {}, {"https": 443, "api": 6443}, "elsewhere")


@pytest.mark.parametrize("case", CASES)
def test_only_the_intended_connections_are_possible(case: str) -> None:
    """The service reaches its database and the names, the gateway reaches the API, Prometheus reaches the metrics."""
    own = pods(case)
    database = "postgres" if case == "dev" else "smp-db"
    expected = {(pod.name, "dns", 53) for pod in own} | {(name, database, 5432) for name in OURS}
    expected |= {("gateway", "smp", 8000), ("prometheus", "smp", 9000)}
    if case != "dev":
        expected |= {(source, "smp-db", port) for source in ("smp-db", "operator") for port in (5432, 8000)}
        # The instances use the Kubernetes API and the object store of the backups.
        expected |= {("prometheus", "smp-db", 9187), ("smp-db", "internet", 443), ("smp-db", "internet", 6443)}
    if case == "traced":
        expected |= {(name, "collector", 4318) for name in OURS}
    assert {
        (source.name, target.name, port)
        for source in (*own, GATEWAY, PROMETHEUS, OPERATOR, STRANGER)
        for target in (*own, DNS, COLLECTOR, INTERNET)
        for port in target.ports.values()
        if "" in {source.namespace, target.namespace} and is_allowed(rendered(case), source, target, port)
    } == expected


def is_allowed(manifests: Rendered, source: Pod, target: Pod, port: int) -> bool:
    """Decide as Kubernetes does: both ends must allow it, unless no policy selects them or they are not ours."""
    for direction, pod, peer, key in (("Egress", source, target, "to"), ("Ingress", target, source, "from")):
        specs = [policy["spec"] for policy in manifests.of_kind("NetworkPolicy")]
        specs = [spec for spec in specs if direction in spec["policyTypes"] and matches(spec["podSelector"], pod)]
        rules = [rule for spec in specs for rule in spec.get(direction.lower(), [])]
        if not pod.namespace and specs and not any(fits(rule, key, peer, target, port) for rule in rules):
            return False
    return True


def fits(rule: Mapping[str, Any], key: str, peer: Pod, target: Pod, port: int) -> bool:
    ports = [target.ports.get(each["port"], each["port"]) for each in rule["ports"]]
    return port in ports and (key not in rule or any(is_peer(each, peer) for each in rule[key]))


def is_peer(selectors: Mapping[str, Any], pod: Pod) -> bool:
    if "ipBlock" in selectors:
        return False
    namespace = selectors.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name", "")
    return namespace == pod.namespace and matches(selectors.get("podSelector", {}), pod)
