"""Statements: SQLAlchemy writes them once, the driver runs them.

SQLAlchemy's own execution costs several times what the driver does, so a statement is compiled on its first use to
SQL with numbered parameters, and from then on only the values are put in order.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final, Protocol

import msgspec
from asyncpg import Record
from sqlalchemy import ClauseElement, text
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

Row = Record
"""One row; its columns by name."""

_DIALECT: Final = PGDialect_asyncpg()
_JSONB_VERSION: Final = b"\x01"  # what PostgreSQL's binary form of jsonb begins with; the rest is the text


class Connection(Protocol):
    """What statements need of the driver's connections, pooled or not."""

    async def fetch(self, query: str, /, *args: object, timeout: float | None = None) -> list[Any]:  # noqa: ASYNC109
        """All rows."""

    async def fetchrow(self, query: str, /, *args: object, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        """The first row."""

    async def execute(self, query: str, /, *args: object, timeout: float | None = None) -> str:  # noqa: ASYNC109
        """The command's tag."""

    async def copy_records_to_table(self, table: str, /, *, records: Any, columns: Any, timeout: float) -> str:  # noqa: ASYNC109
        """The command's tag."""

    def is_closed(self) -> bool:
        """Whether it can no longer be used."""


class Statement:
    """One statement; values are given by the names of its parameters, each of them and no other.

    ``timeout_s`` overrides the connection's limit on how long an answer may take.
    """

    def __init__(self, clause: ClauseElement, timeout_s: float | None = None) -> None:
        self._clause = clause
        self._timeout_s = timeout_s

    @property
    def names(self) -> frozenset[str]:
        """The parameters that want a value."""
        _, names, constants = self._compiled
        return frozenset(names) - frozenset(constants)

    async def rows(self, connection: Connection, /, **values: object) -> list[Row]:
        """All rows that it gives."""
        sql, arguments = self._bound(values)
        return await connection.fetch(sql, *arguments, timeout=self._timeout_s)

    async def row(self, connection: Connection, /, **values: object) -> Row | None:
        """The first row that it gives."""
        sql, arguments = self._bound(values)
        row: Row | None = await connection.fetchrow(sql, *arguments, timeout=self._timeout_s)
        return row

    async def run(self, connection: Connection, /, **values: object) -> int:
        """How many rows it wrote."""
        sql, arguments = self._bound(values)
        tag = await connection.execute(sql, *arguments, timeout=self._timeout_s)
        return int(tag.rpartition(" ")[2])

    def _bound(self, values: dict[str, object]) -> tuple[str, list[object]]:
        sql, names, constants = self._compiled
        if len(values) + len(constants) != len(names):
            raise TypeError(f"the statement wants {sorted(self.names)}, not {sorted(values)}")
        return sql, [values[name] if name in values else constants[name] for name in names]

    @cached_property
    def _compiled(self) -> tuple[str, tuple[str, ...], dict[str, object]]:
        compiled = self._clause.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
        names = tuple(compiled.positiontup or ())
        return str(compiled), names, {name: compiled.params[name] for name in names if _has_value(compiled.params[name])}


def sql(written: str, timeout_s: float | None = None) -> Statement:
    """A statement written out, with ``:names`` for its parameters."""
    return Statement(text(written), timeout_s)


async def set_codecs(connection: Any) -> None:
    """Let the connection read and write ``jsonb`` as Python values."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: _JSONB_VERSION + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
        format="binary",
    )


def _has_value(value: object) -> bool:
    """Whether a parameter was given its value when the statement was written."""
    return value is not None
