"""Statements: SQLAlchemy writes them once, the driver runs them.

SQLAlchemy's own execution costs several times what the driver does, so a statement is compiled on its first use to
SQL with numbered parameters, and from then on only the values are put in order.
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
"""One row; its columns by name."""

_JSONB_VERSION: Final = b"\x01"  # what PostgreSQL's binary form of jsonb begins with; the rest is the text


class Connection(Protocol):
    """What is needed of the driver's connections; every call raises what the driver raises."""

    async def fetch(self, query: str, /, *args: object, timeout: float | None = None) -> list[Row]:  # noqa: ASYNC109 - the driver's
        """All rows."""

    async def fetchrow(self, query: str, /, *args: object, timeout: float | None = None) -> Row | None:  # noqa: ASYNC109 - …
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
        """Close it in good order: cancel what runs, and say good-bye."""

    def terminate(self) -> None:
        """Close it at once, whatever it does."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The statement as the driver takes it; ``names`` are the parameters in their order."""

    sql: str
    names: tuple[str, ...]
    constants: dict[str, object]


class Statement:
    """One statement; values are given by the names of its parameters, each of them and no other.

    ``timeout_s`` overrides the connection's limit on how long an answer may take.
    """

    def __init__(self, clause: ClauseElement, timeout_s: float | None = None) -> None:
        self._clause = clause
        self._timeout_s = timeout_s

    @cached_property
    def names(self) -> frozenset[str]:
        """The parameters that want a value."""
        return frozenset(self._compiled.names) - frozenset(self._compiled.constants)

    async def rows(self, connection: Connection, /, **values: object) -> list[Row]:
        """All rows that it gives."""
        return await connection.fetch(self._compiled.sql, *self._in_order(values), timeout=self._timeout_s)

    async def row(self, connection: Connection, /, **values: object) -> Row | None:
        """The first row that it gives."""
        return await connection.fetchrow(self._compiled.sql, *self._in_order(values), timeout=self._timeout_s)

    async def run(self, connection: Connection, /, **values: object) -> int:
        """How many rows it wrote."""
        tag = await connection.execute(self._compiled.sql, *self._in_order(values), timeout=self._timeout_s)
        return int(tag.rpartition(" ")[2])

    def _in_order(self, values: dict[str, object]) -> list[object]:
        compiled = self._compiled
        if len(values) + len(compiled.constants) != len(compiled.names):
            raise TypeError(f"the statement wants {sorted(self.names)}, not {sorted(values)}")
        return [values[name] if name in values else compiled.constants[name] for name in compiled.names]

    @cached_property
    def _compiled(self) -> _Compiled:
        options = {"render_postcompile": True}
        compiled = cast("SQLCompiler", self._clause.compile(dialect=dialect(), compile_kwargs=options))  # type: ignore[no-untyped-call]
        names = tuple(compiled.positiontup or ())
        given = {name: compiled.params[name] for name in names if compiled.params[name] is not None}
        return _Compiled(str(compiled), names, given)


def sql(written: str, timeout_s: float | None = None) -> Statement:
    """A statement written out, with ``:names`` for its parameters."""
    return Statement(text(written), timeout_s)


async def set_codecs(connection: asyncpg.Connection[Any]) -> None:
    """Let the connection read and write ``jsonb`` as Python values."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: _JSONB_VERSION + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
        format="binary",
    )
