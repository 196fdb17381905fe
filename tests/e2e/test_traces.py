"""Traces of a real service, sent to a collector that is there, that is away, and that says nothing."""

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
STOP_S: Final = 15.0
"""Far less than the client library would wait for a collector, which is half a minute; far more than a stop takes."""


def tracing(environ: Mapping[str, str], database_url: str, endpoint: str) -> dict[str, str]:
    """The environment of a service that sends its traces there, soon."""
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
    """A service and the collector of its traces."""
    with collecting() as collector, serving(tracing(environ, database_url, collector.endpoint), folder) as service:
        yield service, collector


def children(of: Span, spans: Sequence[Span]) -> Sequence[Span]:
    return [span for span in spans if span.parent == of.id]


def test_a_request_its_use_cases_and_their_statements_are_one_tree(
    environ: dict[str, str], database_url: str, folder: Path
) -> None:
    """Under the caller's own span, with what it is and what came of it, and the log has the same id."""
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
    assert (standing.name, standing.kind) == ("SELECT subscriptions plans plan_revisions", CLIENT)
    assert standing.attributes["db.system.name"] == "postgresql"
    assert standing.attributes["db.query.text"].startswith("SELECT s.status, s.ends_at")
    assert next(span.name for span in children(authenticate, spans)) == "SELECT sessions users"
    assert len(spans) == 3 + len(children(authenticate, spans)) + 1
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    login = next(line for line in lines if line["event"] == "request")
    assert login["trace_id"] == wait_for(collector, "POST /v1/auth/login").trace


def test_no_span_has_what_is_secret(environ: dict[str, str], database_url: str, folder: Path) -> None:
    """Passwords, tokens, addresses, headers, queries: of values there are the path and the request's id."""
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
        told = " ".join(f"{span.text} {span.resource}" for span in collector.spans)
        token = str(browser.token)
    assert len(collector.spans) > 40
    secrets = [account["email"], "ann.secret", account["password"], "not the right one", EMAIL, PASSWORD, token]
    assert [secret for secret in (*secrets, "smp_nothing", "a name") if secret in told] == []
    assert {span.attributes.get("error.type") for span in collector.spans} >= {"EmailTaken", "InvalidCredentials"}
    assert not any(span.is_error for span in collector.spans)


def test_statements_that_a_replica_answers_have_spans_too(
    environ: dict[str, str], database_url: str, folder: Path
) -> None:
    """Here the replica is the primary itself, which is soon known to be near."""
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


def test_what_machines_ask_every_few_seconds_has_no_span(
    environ: dict[str, str], database_url: str, folder: Path
) -> None:
    """Health and figures; nor have the statements that the service asks for itself."""
    with traced(environ, database_url, folder) as (service, collector), Browser(service.port) as browser:
        for path in ("/health/live", "/health/ready", "/metrics", "/v1/plans"):
            assert browser.ask("GET", path).status == 200
        wait_for(collector, "GET /v1/plans")
        assert service.stop() == 0
        names = {span.name for span in collector.spans}
        parents = {span.trace for span in collector.spans if span.kind != CLIENT}
    assert not {name for name in names if "health" in name or "metrics" in name or "alembic" in name}
    assert {span.trace for span in collector.spans} == parents


@pytest.mark.parametrize("is_there", [False, True], ids=["away", "silent"])
def test_a_collector_that_is_away_costs_spans_and_nothing_else(
    environ: dict[str, str], database_url: str, folder: Path, *, is_there: bool
) -> None:
    """Requests are answered as ever, and the stop waits for the last spans a second at most."""
    with collecting() as collector:
        collector.answers.clear()
        endpoint = collector.endpoint if is_there else f"http://127.0.0.1:{free_port()}"
        with serving(tracing(environ, database_url, endpoint), folder) as service, Browser(service.port) as browser:
            began = time.monotonic()
            assert all(browser.ask("GET", "/v1/plans").status == 200 for _ in range(100))
            assert time.monotonic() - began < STOP_S
            if is_there:
                assert collector.asked
            began = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - began < STOP_S
    assert collector.spans == [] or is_there


def test_where_nobody_asks_for_traces_nothing_of_them_is_there(database_url: str) -> None:
    """Not even an import; a variable that says "no" is no request."""
    program = (
        "import sys, asyncio\n"
        "from smp.bootstrap.http import create_app\n"
        "app = create_app()\n"
        "assert type(app).__name__ == 'Edge', app\n"
        "ours = ('opentelemetry.sdk', 'smp.adapters.opentelemetry')\n"
        "print([name for name in sys.modules if name.startswith(ours)])\n"
    )
    for off in ({}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true"}):
        asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"} if off else {}
        environ = {"PYTHONPATH": str(ROOT / "src"), "SMP_DATABASE_URL": database_url, **asked, **off}
        done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
        assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_what_cannot_be_had_stops_the_start(environ: dict[str, str], database_url: str) -> None:
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    refused = run({**environ, "SMP_DATABASE_URL": database_url, **asked}, "serve")
    assert refused.returncode == 2
    assert "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf" in refused.stderr
