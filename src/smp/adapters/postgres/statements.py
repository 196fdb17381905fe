"""SQL statements, compiled once and run by the driver.

Most statements are written as SQL text with ``:names`` for parameters; those that are composed are SQLAlchemy Core
expressions. SQLAlchemy compiles both on first use to SQL with numbered parameters. After that only the values are put
in order, because SQLAlchemy's own execution costs several times as much as the driver's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol, cast

import asyncpg
import msgspec
from asyncpg import Record
from sqlalchemy import ClauseElement, text
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.sql.compiler import SQLCompiler

Row = Record
"""A row; columns are read by name."""

_JSONB_VERSION: Final = b"\x01"  # what PostgreSQL's binary form of jsonb begins with; the rest is the text


class Connection(Protocol):
    """A connection of the driver; every call raises the driver's errors."""

    async def fetch(self, query: str, /, *args: object, timeout: float | None = None) -> list[Row]:  # noqa: ASYNC109 - the driver's
        """Return all rows."""

    async def fetchrow(self, query: str, /, *args: object, timeout: float | None = None) -> Row | None:  # noqa: ASYNC109 - the driver's
        """Return the first row."""

    async def execute(self, query: str, /, *args: object, timeout: float | None = None) -> str:  # noqa: ASYNC109 - the driver's
        """Return the command's tag."""

    async def copy_records_to_table(
        self,
        table_name: str,
        /,
        *,
        records: Iterable[Sequence[object]],
        columns: Sequence[str],
        timeout: float,  # noqa: ASYNC109 - the driver's
    ) -> str:
        """Return the command's tag."""

    def is_closed(self) -> bool:
        """Return whether the connection can no longer be used."""

    def is_in_transaction(self) -> bool:
        """Return whether a transaction is open on the connection."""

    async def close(self) -> None:
        """Cancel the running statement, then close the connection in an orderly way."""

    def terminate(self) -> None:
        """Close the connection at once."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement in the driver's form; ``names`` are the parameters in order."""

    sql: str
    names: tuple[str, ...]
    constants: dict[str, object]


class Statement:
    """A statement; it takes one value for each of its parameters, by name.

    ``timeout_s`` replaces the connection's time limit for an answer. An urgent statement is quick, and may
    use the reserved connections, so that access checks are answered while other statements wait for locks.
    """

    def __init__(self, clause: ClauseElement, timeout_s: float | None = None, *, is_urgent: bool = False) -> None:
        self._clause = clause
        self._timeout_s = timeout_s
        self.is_urgent = is_urgent

    @cached_property
    def names(self) -> frozenset[str]:
        """The parameters that need a value."""
        return frozenset(self._compiled.names) - frozenset(self._compiled.constants)

    async def rows(self, connection: Connection, /, **values: object) -> list[Row]:
        """Return all rows."""
        return await connection.fetch(self._compiled.sql, *self._in_order(values), timeout=self._timeout_s)

    async def row(self, connection: Connection, /, **values: object) -> Row | None:
        """Return the first row."""
        return await connection.fetchrow(self._compiled.sql, *self._in_order(values), timeout=self._timeout_s)

    async def run(self, connection: Connection, /, **values: object) -> int:
        """Run it, and return how many rows it wrote."""
        tag = await connection.execute(self._compiled.sql, *self._in_order(values), timeout=self._timeout_s)
        return int(tag.rpartition(" ")[2])

    def _in_order(self, values: dict[str, object]) -> list[object]:
        compiled = self._compiled
        if len(values) + len(compiled.constants) != len(compiled.names):
            raise TypeError(f"the statement needs {sorted(self.names)}, not {sorted(values)}")
        return [values[name] if name in values else compiled.constants[name] for name in compiled.names]

    @cached_property
    def _compiled(self) -> _Compiled:
        options = {"render_postcompile": True}
        compiled = cast("SQLCompiler", self._clause.compile(dialect=dialect(), compile_kwargs=options))  # type: ignore[no-untyped-call]
        names = tuple(compiled.positiontup or ())
        given = {name: compiled.params[name] for name in names if compiled.params[name] is not None}
        return _Compiled(str(compiled), names, given)


def sql(written: str, timeout_s: float | None = None, *, is_urgent: bool = False) -> Statement:
    """Make a statement from SQL text with ``:names`` for its parameters."""
    return Statement(text(written), timeout_s, is_urgent=is_urgent)


async def set_codecs(connection: asyncpg.Connection[Any]) -> None:
    """Make the connection read and write ``jsonb`` as Python values."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: _JSONB_VERSION + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
        format="binary",
    )
