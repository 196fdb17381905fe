"""What a span says of a use case, a statement and a request."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, Tracer, use_span

import smp.adapters.postgres
from smp.adapters.opentelemetry.requests import TracedApp
from smp.adapters.opentelemetry.statements import TracedConnection, described
from smp.adapters.opentelemetry.use_cases import OpenTelemetryUseCaseTracer
from smp.adapters.postgres.statements import Statement
from smp.adapters.postgres.tables import METADATA
from smp.application.caller import ANONYMOUS, Caller
from smp.application.errors import InvalidCredentials, StorageUnavailable, TooManyAttempts
from smp.application.execution import WithSpan
from smp.domain.errors import EmailTaken


async def greet(spans: Spans, refusal: Exception | None = None) -> str:
    """A use case that greets, or refuses."""

    async def handler(name: str, _: Caller) -> str:
        if refusal is not None:
            raise refusal
        return f"hello {name}"

    return await WithSpan(handler, "Greet", OpenTelemetryUseCaseTracer(spans.tracer))("ann@example.com", ANONYMOUS)


class Spans:
    """A tracer, and what it made."""

    def __init__(self) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self.tracer: Tracer = provider.get_tracer("tests")

    @property
    def all(self) -> tuple[ReadableSpan, ...]:
        """All of them that are over."""
        return self._kept.get_finished_spans()


@pytest.fixture
def spans() -> Spans:
    return Spans()


async def test_a_use_case_has_a_span_of_its_name(spans: Spans) -> None:
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
async def test_a_refusal_is_an_outcome_and_a_failure_an_error(
    spans: Spans, refusal: Exception, status: StatusCode
) -> None:
    """Named by its class; its text, which may name people, is not told."""
    with pytest.raises(type(refusal)):
        await greet(spans, refusal)
    (span,) = spans.all
    assert span.attributes == {"error.type": type(refusal).__name__}
    assert (span.status.status_code, span.status.description, span.events) == (status, None, ())


async def test_what_is_part_of_a_request_that_is_not_kept_has_no_span(spans: Spans) -> None:
    """The sampler has decided, for the whole of it."""
    kept_out = NonRecordingSpan(SpanContext(trace_id=1, span_id=1, is_remote=True))
    with use_span(kept_out):
        assert await greet(spans) == "hello ann@example.com"
        assert await TracedConnection(Answering(), spans.tracer, "shop").execute("BEGIN") == "BEGIN () None"
    assert spans.all == ()


class Answering:
    """A connection that answers all, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    async def fetch(self, query: str, /, *args: object, timeout: float | None = None) -> list[Any]:  # noqa: ASYNC109
        if self._error is not None:
            raise self._error
        return [query, args, timeout]

    async def fetchrow(self, query: str, /, *args: object, timeout: float | None = None) -> object:  # noqa: ASYNC109
        return (query, args, timeout)

    async def execute(self, query: str, /, *args: object, timeout: float | None = None) -> str:  # noqa: ASYNC109
        return f"{query} {args} {timeout}"

    async def copy_records_to_table(self, table_name: str, /, **how: object) -> str:
        return f"COPY {table_name} {sorted(how)}"

    def is_closed(self) -> bool:
        return True

    def is_in_transaction(self) -> bool:
        return True

    async def close(self) -> None:
        """It has nothing to close."""

    def terminate(self) -> None:
        """Nor to end."""


async def test_a_statement_has_a_span_with_its_text_and_without_values(spans: Spans) -> None:
    connection = TracedConnection(Answering(), spans.tracer, "shop")
    query = "SELECT id\n  FROM users\n  WHERE email = $1"
    with spans.tracer.start_as_current_span("a use case"):
        assert await connection.fetch(query, "ann@example.com", timeout=2) == [query, ("ann@example.com",), 2]
        assert await connection.fetchrow("SELECT 1", timeout=3) == ("SELECT 1", (), 3)
        assert await connection.execute("BEGIN") == "BEGIN () None"
        copied = await connection.copy_records_to_table("events", records=[("secret",)], columns=["a"], timeout=1)
        assert copied == "COPY events ['columns', 'records', 'timeout']"
    select, one, begin, copy, _ = spans.all
    assert [span.name for span in (select, one, begin, copy)] == ["SELECT users", "SELECT", "BEGIN", "COPY"]
    assert select.attributes == {
        "db.system.name": "postgresql",
        "db.namespace": "shop",
        "db.query.text": "SELECT id FROM users WHERE email = $1",
        "db.query.summary": "SELECT users",
        "db.operation.name": "SELECT",
        "db.collection.name": "users",
    }
    assert connection.is_closed()
    assert connection.is_in_transaction()
    await connection.close()
    connection.terminate()


async def test_a_statement_that_was_refused_says_how(spans: Spans) -> None:
    error = asyncpg.UniqueViolationError("Key (email)=(ann@example.com) already exists")
    connection = TracedConnection(Answering(error), spans.tracer, "shop")
    with spans.tracer.start_as_current_span("a use case"), pytest.raises(asyncpg.UniqueViolationError):
        await connection.fetch("SELECT 1")
    span = spans.all[0]
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["db.response.status_code"] == "23505"
    assert span.attributes["error.type"] == "UniqueViolationError"
    assert "ann@example.com" not in span.to_json()


async def test_a_statement_that_is_part_of_nothing_has_none(spans: Spans) -> None:
    assert await TracedConnection(Answering(), spans.tracer, "shop").execute("BEGIN") == "BEGIN () None"
    assert spans.all == ()


async def test_a_request_that_was_never_answered_is_an_error(spans: Spans) -> None:
    async def app(*_: object) -> None:
        raise ZeroDivisionError

    scope = {"type": "http", "method": "BREW", "path": "/v1/nowhere", "headers": [(b"traceparent", b"nonsense")]}
    with pytest.raises(ZeroDivisionError):
        await TracedApp(app, spans.tracer)(scope, None, None)
    (span,) = spans.all
    assert (span.name, span.parent, span.status.status_code) == ("_OTHER", None, StatusCode.ERROR)


def statements() -> Iterator[tuple[str, str]]:
    """Every statement that is written out in a module of the adapter, with its name and its text."""
    for found in pkgutil.iter_modules(smp.adapters.postgres.__path__):
        module = importlib.import_module(f"smp.adapters.postgres.{found.name}")
        for name, value in vars(module).items():
            several = value.values() if isinstance(value, Mapping) else [value]
            for each in several:
                if isinstance(each, Statement):
                    yield f"{found.name}.{name}", each._compiled.sql


def test_the_words_for_a_statement_are_what_it_does_to_which_tables() -> None:
    """Of all that the adapter sends; a part of a statement, a function or an alias is no table."""
    found = dict(statements())
    assert len(found) > 50
    assert described(found["access_reader._STANDING"])[0] == "SELECT subscriptions plans plan_revisions"
    assert described(found["subscription_repository._ADD"])[0] == "INSERT subscriptions subscription_spans event_log"
    known = {*METADATA.tables, "alembic_version", "pg_class", "pg_depend"}
    verbs = {"SELECT", "INSERT", "UPDATE", "DELETE"}
    others = {"SET", "CREATE", "DROP", "ANALYZE", "LOCK", "COPY"}
    strange = {
        name: described(text)[0]
        for name, text in found.items()
        if not set(described(text)[0].split()) <= known | verbs and described(text)[0] not in others
    }
    assert strange == {}
