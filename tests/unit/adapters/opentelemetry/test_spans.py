"""The spans of a use case, a statement and a request."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import asyncpg
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, Tracer, get_current_span, use_span

import smp.adapters.postgres
from smp.adapters.opentelemetry.requests import TracedApp
from smp.adapters.opentelemetry.statements import describe, statement_span
from smp.adapters.opentelemetry.use_cases import OpenTelemetryUseCaseTracer
from smp.adapters.postgres.statements import Statement
from smp.adapters.postgres.tables import METADATA
from smp.application.caller import ANONYMOUS, Caller
from smp.application.errors import InvalidCredentials, StorageUnavailable, TooManyAttempts
from smp.application.execution import WithSpan
from smp.domain.errors import EmailTaken


async def greet(spans: Spans, refusal: Exception | None = None) -> str:
    """Run a use case that returns a greeting or raises ``refusal``."""

    async def handler(name: str, _: Caller) -> str:
        if refusal is not None:
            raise refusal
        return f"hello {name}"

    return await WithSpan(handler, "Greet", OpenTelemetryUseCaseTracer(spans.tracer))("ann@example.com", ANONYMOUS)


class Spans:
    """A tracer that stores its spans in memory."""

    def __init__(self) -> None:
        self._finished = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._finished))
        self.provider = provider
        self.tracer: Tracer = provider.get_tracer("tests")

    @property
    def all(self) -> tuple[ReadableSpan, ...]:
        """Return all finished spans."""
        return self._finished.get_finished_spans()


@pytest.fixture
def spans() -> Spans:
    return Spans()


async def test_a_use_case_has_a_span_with_its_name(spans: Spans) -> None:
    assert await greet(spans) == "hello ann@example.com"
    (span,) = spans.all
    assert (span.name, dict(span.attributes or {}), span.status.status_code) == ("Greet", {}, StatusCode.UNSET)


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (EmailTaken(), StatusCode.UNSET),
        (InvalidCredentials(), StatusCode.UNSET),
        (TooManyAttempts(1), StatusCode.UNSET),
        (StorageUnavailable(), StatusCode.ERROR),
        (ZeroDivisionError("ann@example.com"), StatusCode.ERROR),
    ],
)
async def test_a_refusal_is_recorded_as_an_outcome_and_a_failure_as_an_error(
    spans: Spans, refusal: Exception, status: StatusCode
) -> None:
    """By the name of its class. Its text may contain personal data and is not recorded."""
    with pytest.raises(type(refusal)):
        await greet(spans, refusal)
    (span,) = spans.all
    assert span.attributes == {"error.type": type(refusal).__name__}
    assert (span.status.status_code, span.status.description, span.events) == (status, None, ())


async def test_a_request_that_is_not_sampled_has_no_inner_spans(spans: Spans) -> None:
    """The decision of the sampler applies to the whole request."""
    not_recorded = NonRecordingSpan(SpanContext(trace_id=1, span_id=1, is_remote=True))
    with use_span(not_recorded):
        assert await greet(spans) == "hello ann@example.com"
        with statement_span(spans.tracer, "shop", "BEGIN"):
            assert get_current_span() is not_recorded
    assert spans.all == ()


def test_a_statement_has_a_span_with_its_text_and_without_values(spans: Spans) -> None:
    for query in ("SELECT id\n  FROM users\n  WHERE email = $1", "BEGIN"):
        with spans.tracer.start_as_current_span("a use case"), statement_span(spans.tracer, "shop", query):
            pass
    select, _, begin, _ = spans.all
    assert (select.name, begin.name) == ("SELECT users", "BEGIN")
    assert select.attributes == {
        "db.system.name": "postgresql",
        "db.namespace": "shop",
        "db.query.text": "SELECT id FROM users WHERE email = $1",
        "db.query.summary": "SELECT users",
        "db.operation.name": "SELECT",
        "db.collection.name": "users",
    }


def test_the_span_of_a_refused_statement_has_the_sqlstate_and_no_message(spans: Spans) -> None:
    def refuse() -> None:
        with statement_span(spans.tracer, "shop", "SELECT 1"):
            raise asyncpg.UniqueViolationError("Key (email)=(ann@example.com) already exists")

    with spans.tracer.start_as_current_span("a use case"), pytest.raises(asyncpg.UniqueViolationError):
        refuse()
    span = spans.all[0]
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["db.response.status_code"] == "23505"
    assert span.attributes["error.type"] == "UniqueViolationError"
    assert "ann@example.com" not in span.to_json()


def test_a_statement_outside_of_a_request_has_no_span(spans: Spans) -> None:
    with statement_span(spans.tracer, "shop", "BEGIN"):
        assert not get_current_span().is_recording()
    assert spans.all == ()


async def test_a_request_that_fails_without_a_response_is_an_error_without_its_message(spans: Spans) -> None:
    async def app(*_: object) -> None:
        raise ZeroDivisionError("ann@example.com")

    headers = [(b"traceparent", b"nonsense"), (b"user-agent", b"a browser")]
    scope = {
        "type": "http",
        "method": "BREW",
        "path": "/v1/nowhere",
        "query_string": b"email=ann@example.com",
        "headers": headers,
        "server": ("127.0.0.1", 80),
    }
    with pytest.raises(ZeroDivisionError):
        await TracedApp(app, spans.provider)(scope, None, None)
    (span,) = spans.all
    assert (span.name, span.parent, span.status.status_code) == ("_OTHER", None, StatusCode.ERROR)
    assert span.attributes is not None
    assert span.attributes["error.type"] == "ZeroDivisionError"
    assert [secret for secret in ("ann@example.com", "browser") if secret in span.to_json()] == []


async def test_a_span_has_the_beginning_of_a_long_path_and_method(spans: Spans) -> None:
    async def app(scope: MutableMapping[str, Any], *_: object) -> None:
        assert (len(scope["method"]), len(scope["path"])) == (20_000, 20_001)

    scope = {
        "type": "http",
        "method": "M" * 20_000,
        "path": "/" + "a." * 10_000,
        "query_string": b"",
        "headers": [],
        "server": ("127.0.0.1", 80),
    }
    await TracedApp(app, spans.provider)(scope, None, None)
    (span,) = spans.all
    assert len(span.to_json()) < 5_000


def statements() -> Iterator[tuple[str, str]]:
    """Yield every statement that a module of the adapter defines, with its name and its SQL."""
    for found in pkgutil.iter_modules(smp.adapters.postgres.__path__):
        module = importlib.import_module(f"smp.adapters.postgres.{found.name}")
        for name, value in vars(module).items():
            several = value.values() if isinstance(value, Mapping) else [value]
            for each in several:
                if isinstance(each, Statement):
                    yield f"{found.name}.{name}", each._compiled.sql


def test_a_statement_is_named_after_its_first_word_and_its_first_table() -> None:
    """The names of all statements of the adapter have tables of the schema, and no function, alias or part."""
    summaries = {name: describe(text)["db.query.summary"] for name, text in statements()}
    assert len(summaries) > 50
    assert summaries["access_reader._ENTITLEMENT"] == "SELECT users"
    assert summaries["subscription_repository._ADD"] == "WITH subscriptions"
    tables = {"", *METADATA.tables, "smp_schema_version", "alembic_version", "pg_class", "pg_depend", "pg_settings"}
    words = {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "SET", "CREATE", "DROP", "ANALYZE", "LOCK"}
    split = {name: summary.partition(" ") for name, summary in summaries.items()}
    assert {name for name, (word, _, table) in split.items() if word not in words or table not in tables} == set()
