"""A span for each SQL statement, by the database conventions of OpenTelemetry: its text, and never its values."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

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

Result = TypeVar("Result")

_TARGET: Final = re.compile(
    r"\b(?:(?P<insert>INSERT INTO)|(?P<delete>DELETE FROM)|(?<!FOR )(?<!DO )(?P<update>UPDATE)|(?P<select>FROM|JOIN))"
    r"\s+(?P<target>[a-z_][a-z0-9_.]*+)(?P<columns>\s*\()?"
)
"""A table with what is done to it. FROM with a bracket behind it is no table but a function."""

_NAMED: Final = re.compile(r"\b(?P<name>[a-z_][a-z0-9_]*)(?:\s*\([^()]*\))?\s+AS\s+(?:NOT\s+)?(?:MATERIALIZED\s+)?\(")
"""The names of a statement's own parts (WITH name AS …), which are no tables."""


class Connection(Protocol):
    """What is needed of the driver's connections."""

    async def fetch(self, query: str, /, *args: object, timeout: float | None = None) -> list[Any]:  # noqa: ASYNC109 - the driver's
        """All rows."""

    async def fetchrow(self, query: str, /, *args: object, timeout: float | None = None) -> Any:  # noqa: ANN401, ASYNC109 - …
        """The first row."""

    async def execute(self, query: str, /, *args: object, timeout: float | None = None) -> str:  # noqa: ASYNC109 - …
        """The command's tag."""

    async def copy_records_to_table(
        self,
        table_name: str,
        /,
        *,
        records: Iterable[Sequence[object]],
        columns: Sequence[str],
        timeout: float,  # noqa: ASYNC109 - …
    ) -> str:
        """The command's tag."""

    def is_closed(self) -> bool:
        """Whether it can no longer be used."""

    def is_in_transaction(self) -> bool:
        """Whether a transaction is open on it."""

    async def close(self) -> None:
        """Close it in good order."""

    def terminate(self) -> None:
        """Close it at once."""


class TracedConnection:
    """A connection whose statements have spans, where they are part of something that has one.

    What the service asks for itself (health, figures) is part of nothing.
    """

    def __init__(self, connection: Connection, tracer: Tracer, database: str) -> None:
        """``database`` is the database's name."""
        self._connection = connection
        self._tracer = tracer
        self._database = database

    async def fetch(self, query: str, /, *args: object, timeout: float | None = None) -> list[Any]:  # noqa: ASYNC109 - the driver's
        """All rows."""
        return await self._told(query, lambda: self._connection.fetch(query, *args, timeout=timeout))

    async def fetchrow(self, query: str, /, *args: object, timeout: float | None = None) -> Any:  # noqa: ANN401, ASYNC109 - …
        """The first row."""
        return await self._told(query, lambda: self._connection.fetchrow(query, *args, timeout=timeout))

    async def execute(self, query: str, /, *args: object, timeout: float | None = None) -> str:  # noqa: ASYNC109 - …
        """The command's tag."""
        return await self._told(query, lambda: self._connection.execute(query, *args, timeout=timeout))

    async def copy_records_to_table(
        self,
        table_name: str,
        /,
        *,
        records: Iterable[Sequence[object]],
        columns: Sequence[str],
        timeout: float,  # noqa: ASYNC109 - …
    ) -> str:
        """The command's tag."""
        return await self._told(
            f"COPY {table_name} FROM STDIN",
            lambda: self._connection.copy_records_to_table(
                table_name, records=records, columns=columns, timeout=timeout
            ),
        )

    def is_closed(self) -> bool:
        """Whether it can no longer be used."""
        return self._connection.is_closed()

    def is_in_transaction(self) -> bool:
        """Whether a transaction is open on it."""
        return self._connection.is_in_transaction()

    async def close(self) -> None:
        """Close it in good order."""
        await self._connection.close()

    def terminate(self) -> None:
        """Close it at once."""
        self._connection.terminate()

    async def _told(self, query: str, run: Callable[[], Awaitable[Result]]) -> Result:
        if not get_current_span().is_recording():
            return await run()
        summary, attributes = described(query)
        with self._tracer.start_as_current_span(
            summary,
            kind=SpanKind.CLIENT,
            attributes={DB_NAMESPACE: self._database, **attributes},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                return await run()
            except Exception as error:
                sqlstate = getattr(error, "sqlstate", None)
                if isinstance(sqlstate, str):
                    span.set_attribute(DB_RESPONSE_STATUS_CODE, sqlstate)
                span.set_attribute(ERROR_TYPE, type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise


@lru_cache(maxsize=1_024)
def described(query: str) -> tuple[str, dict[str, str]]:
    """The statement in few words (``INSERT subscriptions events``), and what a span says of it.

    The text itself has no values: they are numbered parameters.
    """
    own = {match["name"] for match in _NAMED.finditer(query)}
    found = [
        (_operation(match), match["target"])
        for match in _TARGET.finditer(query)
        if match["target"] not in own and not (match["select"] and match["columns"])
    ]
    words: list[str] = []
    before = ""
    for operation, target in dict.fromkeys(found):
        words += [target] if operation == before else [operation, target]
        before = operation
    summary = " ".join(words) or query.split(maxsplit=1)[0].upper()
    attributes = {DB_SYSTEM_NAME: "postgresql", DB_QUERY_TEXT: " ".join(query.split()), DB_QUERY_SUMMARY: summary}
    operations, targets = {operation for operation, _ in found}, {target for _, target in found}
    if len(operations) == 1:
        attributes[DB_OPERATION_NAME] = operations.pop()
    if len(targets) == 1:
        attributes[DB_COLLECTION_NAME] = targets.pop()
    return summary, attributes


def _operation(match: re.Match[str]) -> str:
    return next(name.upper() for name in ("insert", "delete", "update", "select") if match[name] is not None)
