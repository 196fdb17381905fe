"""Traces of a running service, sent to a collector that works, is down, or does not answer."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support.clients import Browser
from tests.support.collector import Collector, Span, collecting, wait_for
from tests.support.exposition import read
from tests.support.processes import ROOT, Service, free_port, run, serving, wait_until

EMAIL: Final = "root@example.com"
PASSWORD: Final = "correct horse battery staple"
CALLERS_TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
CALLERS_SPAN: Final = "b7ad6b7169203331"
INTERNAL, SERVER, CLIENT = 1, 2, 3
STOP_LIMIT_S: Final = 15.0
"""Far below the half minute that the client library would wait for a collector, and far above the time of a stop."""


def tracing(environ: Mapping[str, str], database_url: str, endpoint: str) -> dict[str, str]:
    """Return the environment of a service that sends its traces to ``endpoint``, without delay."""
    return {
        **environ,
        "SMP_DATABASE_URL": database_url,
        "SMP_LOG_FORMAT": "json",
        "SMP_LOG_LEVEL": "info",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=tests",
    }


@contextmanager
def traced(environ: Mapping[str, str], database_url: str, folder: Path) -> Iterator[tuple[Service, Collector]]:
    """Run a service with the collector of its traces."""
    with collecting() as collector, serving(tracing(environ, database_url, collector.endpoint), folder) as service:
        yield service, collector


def children(of: Span, spans: Sequence[Span]) -> Sequence[Span]:
    return [span for span in spans if span.parent == of.id]


def test_a_request_its_use_cases_and_their_statements_are_one_tree(
    environ: dict[str, str], database_url: str, folder: Path
) -> None:
    """The tree is below the span of the caller. Spans have the route and the status; the log has the trace's id."""
    with traced(environ, database_url, folder) as (service, collector):
        with Browser(service.port) as browser:
            browser.log_in(EMAIL, PASSWORD)
            context = {"traceparent": f"00-{CALLERS_TRACE}-{CALLERS_SPAN}-01", "x-request-id": "a-request"}
            assert browser.ask("GET", "/v1/me/access/export", headers=context).status == 200
        root = wait_for(collector, "GET /v1/me/access/{feature}")
        assert service.stop() == 0
    assert (root.trace, root.parent, root.kind, root.is_error) == (CALLERS_TRACE, CALLERS_SPAN, SERVER, False)
    assert root.attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/me/access/{feature}",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "server.address": root.attributes["server.address"],
        "server.port": service.port,
        "url.path": "/v1/me/access/export",
        "url.scheme": "http",
        "smp.request_id": "a-request",
    }
    assert root.resource["service.name"] == "smp"
    assert root.resource["deployment.environment.name"] == "tests"
    spans = [span for span in collector.spans if span.trace == CALLERS_TRACE]
    authenticate, check = children(root, spans)
    assert [(span.name, span.kind) for span in (authenticate, check)] == [
        ("Authenticate", INTERNAL),
        ("CheckAccess", INTERNAL),
    ]
    (standing,) = children(check, spans)
    assert (standing.name, standing.kind) == ("SELECT users", CLIENT)
    assert standing.attributes["db.system.name"] == "postgresql"
    assert standing.attributes["db.query.text"].startswith("SELECT u.disabled, s.status")
    assert next(span.name for span in children(authenticate, spans)) == "SELECT sessions"
    assert len(spans) == 3 + len(children(authenticate, spans)) + 1
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    login = next(line for line in lines if line["event"] == "request")
    login_span = wait_for(collector, "POST /v1/auth/login")
    assert (login["trace_id"], login["span_id"]) == (login_span.trace, login_span.id)


def test_no_span_has_personal_or_secret_values(environ: dict[str, str], database_url: str, folder: Path) -> None:
    """No passwords, tokens, addresses, headers or queries; only the path and the id of the request."""
    with traced(environ, database_url, folder) as (service, collector), Browser(service.port) as browser:
        account = {"email": "ann.secret@example.com", "password": "a password of mine, and long"}
        assert browser.ask("POST", "/v1/auth/register", account).status == 201
        assert browser.ask("POST", "/v1/auth/register", account).status == 409
        assert browser.ask("POST", "/v1/auth/login", {**account, "password": "not the right one at all"}).status == 401
        browser.log_in(EMAIL, PASSWORD)
        assert browser.ask("GET", "/v1/users?email=ann.secret").status == 200
        assert browser.ask("GET", "/v1/plans", headers={"authorization": "Bearer smp_nothing"}).status in {200, 401}
        assert browser.ask("PATCH", "/v1/plans/none", {"name": "a name"}).status == 404
        wait_for(collector, "PATCH /v1/plans/{plan}")
        assert service.stop() == 0
        text = " ".join(f"{span.text} {span.resource}" for span in collector.spans)
        token = str(browser.token)
    assert len(collector.spans) > 40
    secrets = [account["email"], "ann.secret", account["password"], "not the right one", EMAIL, PASSWORD, token]
    assert [secret for secret in (*secrets, "smp_nothing", "a name") if secret in text] == []
    assert {span.attributes.get("error.type") for span in collector.spans} >= {"EmailTaken", "InvalidCredentials"}
    assert not any(span.is_error for span in collector.spans)


def test_statements_of_a_replica_have_spans_too(environ: dict[str, str], database_url: str, folder: Path) -> None:
    """The replica is the primary itself."""
    environ = {**environ, "SMP_DATABASE_REPLICA_URL": database_url}
    with traced(environ, database_url, folder) as (service, collector), Browser(service.port) as browser:
        browser.log_in(EMAIL, PASSWORD)

        def is_answered() -> bool:
            assert browser.ask("GET", "/v1/users").status == 200
            return read(browser.ask("GET", "/metrics").body.decode())("smp_replica_reads_total", outcome="replica") > 1

        wait_until(is_answered)
        browser.ask("GET", "/v1/plans")
        wait_for(collector, "GET /v1/plans")
        assert service.stop() == 0
        lists = collector.named("ListUsers")
    assert len(lists) > 1
    assert {tuple(span.name for span in children(each, collector.spans)) for each in lists} == {("SELECT users",)}


def test_health_checks_and_metrics_have_no_spans(environ: dict[str, str], database_url: str, folder: Path) -> None:
    """Nor do the statements that the service sends for them."""
    with traced(environ, database_url, folder) as (service, collector), Browser(service.port) as browser:
        for path in ("/health/live", "/health/ready", "/metrics", "/v1/plans"):
            assert browser.ask("GET", path).status == 200
        wait_for(collector, "GET /v1/plans")
        assert service.stop() == 0
        names = {span.name for span in collector.spans}
        parents = {span.trace for span in collector.spans if span.kind != CLIENT}
    assert not {name for name in names if "health" in name or "metrics" in name or "alembic" in name}
    assert {span.trace for span in collector.spans} == parents


@pytest.mark.parametrize("is_there", [False, True], ids=["away", "does not answer"])
def test_without_a_collector_requests_and_stops_are_not_slower(
    environ: dict[str, str], database_url: str, folder: Path, *, is_there: bool
) -> None:
    """Only the spans are lost. A stop waits at most one second for the last spans."""
    with collecting() as collector:
        collector.answers.clear()
        endpoint = collector.endpoint if is_there else f"http://127.0.0.1:{free_port()}"
        with serving(tracing(environ, database_url, endpoint), folder) as service, Browser(service.port) as browser:
            began = time.monotonic()
            assert all(browser.ask("GET", "/v1/plans").status == 200 for _ in range(100))
            assert time.monotonic() - began < STOP_LIMIT_S
            if is_there:
                assert collector.asked
            began = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - began < STOP_LIMIT_S
    assert collector.spans == [] or is_there


def test_without_traces_neither_the_sdk_nor_the_exporter_is_imported(database_url: str) -> None:
    """This includes a variable that switches traces off."""
    program = (
        "import sys, asyncio\n"
        "from smp.bootstrap.http import create_app\n"
        "app = create_app()\n"
        "assert type(app).__name__ != 'TracedApp', app\n"
        "traces = ('opentelemetry.sdk', 'opentelemetry.exporter', 'smp.adapters.opentelemetry')\n"
        "print([name for name in sys.modules if name.startswith(traces)])\n"
    )
    for off in ({}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true"}):
        asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"} if off else {}
        environ = {"PYTHONPATH": str(ROOT / "src"), "SMP_DATABASE_URL": database_url, **asked, **off}
        done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
        assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_a_protocol_that_is_not_supported_stops_the_start(environ: dict[str, str], database_url: str) -> None:
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    refused = run({**environ, "SMP_DATABASE_URL": database_url, **asked}, "serve")
    assert refused.returncode == 2
    assert "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf" in refused.stderr
