"""A span for each SQL statement, as the database conventions of OpenTelemetry describe it: its text without values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import asyncpg
from opentelemetry.semconv.attributes.db_attributes import (
    DB_COLLECTION_NAME,
    DB_NAMESPACE,
    DB_OPERATION_NAME,
    DB_QUERY_SUMMARY,
    DB_QUERY_TEXT,
    DB_RESPONSE_STATUS_CODE,
    DB_SYSTEM_NAME,
)
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import SpanKind, StatusCode, Tracer, get_current_span

_BEFORE_A_TABLE: Final = frozenset({"FROM", "INTO", "UPDATE"})


def traced_connection_class(tracer: Tracer, database: str) -> type[asyncpg.Connection[Any]]:
    """Make a class of connections to ``database`` whose statements have spans."""

    class TracedConnection(asyncpg.Connection):
        async def fetch(self, query: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - the driver's
            with statement_span(tracer, database, query):
                return await super().fetch(query, *args, **options)

        async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - the driver's
            with statement_span(tracer, database, query):
                return await super().fetchrow(query, *args, **options)

        async def execute(self, query: str, *args: Any, **options: Any) -> str:  # noqa: ANN401 - the driver's
            with statement_span(tracer, database, query):
                return await super().execute(query, *args, **options)

    return TracedConnection


@contextmanager
def statement_span(tracer: Tracer, database: str, query: str) -> Iterator[None]:
    """Open a span around a statement, if the statement is part of a request or a use case that has one.

    Statements that the service sends for itself, for health and metrics, are part of neither.
    """
    if not get_current_span().is_recording():
        yield
        return
    attributes = describe(query)
    with tracer.start_as_current_span(
        attributes[DB_QUERY_SUMMARY],
        kind=SpanKind.CLIENT,
        attributes={DB_NAMESPACE: database, **attributes},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except Exception as error:
            sqlstate = getattr(error, "sqlstate", None)
            if isinstance(sqlstate, str):
                span.set_attribute(DB_RESPONSE_STATUS_CODE, sqlstate)
            span.set_attribute(ERROR_TYPE, type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise


@lru_cache(maxsize=1_024)
def describe(query: str) -> dict[str, str]:
    """Return the attributes of a statement; its summary is its first word and the first table that it names."""
    words = query.split()
    operation = words[0].upper()
    tables = (word.strip("(),;") for before, word in pairwise(words) if before in _BEFORE_A_TABLE)
    table = next((word for word in tables if word.isidentifier() and word.islower()), "")
    attributes = {
        DB_SYSTEM_NAME: "postgresql",
        DB_QUERY_TEXT: " ".join(words),
        DB_QUERY_SUMMARY: f"{operation} {table}".rstrip(),
        DB_OPERATION_NAME: operation,
    }
    return {**attributes, DB_COLLECTION_NAME: table} if table else attributes
