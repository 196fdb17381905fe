"""A pgbench script made from the adapter's statements, so that both run the same.

A use case is recorded for two users. A value that is equal in both recordings is a constant. A value that differs
belongs to the user, and the statement computes it from the user's number, because pgbench's variables are numbers only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from benchmarks.recording import Sent

NUMBER: Final = "n"
"""The variable of the script that contains the user's number."""

_PARAMETER: Final = re.compile(r"\$([0-9]+)")
_ROLES_MAX: Final = 1 << 12


class CannotReplay(Exception):
    """The two recordings differ in a way that a script cannot reproduce."""


@dataclass(frozen=True, slots=True)
class Script:
    """A pgbench script and its constants."""

    text: str
    constants: Mapping[str, str]

    @property
    def arguments(self) -> list[str]:
        """The constants as pgbench's arguments."""
        return [f"--define={name}={value}" for name, value in self.constants.items()]


def numbered_uuid(number: int, role: int = 0) -> UUID:
    """Return the UUIDv7 of this number and this kind of id (``role``). The script computes the same."""
    return UUID(f"{_uuid_head(role)}{number:012x}")


def key_of(number: int) -> str:
    """Return the idempotency key of this number. The script computes the same."""
    return f"bench-{number}"


async def script_of(
    connection: asyncpg.Connection[Any], first: tuple[int, Sequence[Sent]], second: tuple[int, Sequence[Sent]]
) -> Script:
    """Return the script of a use case. Each recording has the number of its user.

    The script needs the variables ``base`` (the first number), ``each`` (numbers for a client) and ``i`` (0).

    Raises:
        CannotReplay: if the statements differ, or a value differs that cannot be computed.
    """
    writer = _Writer(connection, first[0], second[0])
    if [sent.sql for sent in first[1]] != [sent.sql for sent in second[1]]:
        raise CannotReplay("the two recordings are not of the same statements")
    lines = ["\\set i :i + 1", f"\\set {NUMBER} :base + :client_id * :each + :i"]
    for one, other in zip(first[1], second[1], strict=True):
        lines.append(await writer.statement(one, other))
    return Script("\n".join(lines) + "\n", writer.constants)


@dataclass(slots=True)
class _Writer:
    connection: asyncpg.Connection[Any]
    first: int
    second: int
    constants: dict[str, str] = field(default_factory=dict)
    roles: dict[UUID, int] = field(default_factory=dict)

    async def statement(self, one: Sent, other: Sent) -> str:
        """Return the statement as a line of the script."""
        sql = " ".join(one.sql.split())
        if not one.values:
            return f"{sql};"
        prepared = await self.connection.prepare(one.sql)
        expressions = []
        for parameter, ours, theirs in zip(prepared.get_parameters(), one.values, other.values, strict=True):
            type_ = _sql_type(parameter)
            expressions.append(f"CAST({await self._expression(ours, theirs, type_)} AS {type_})")
        return _PARAMETER.sub(lambda found: expressions[int(found[1]) - 1], sql) + ";"

    async def _expression(self, ours: object, theirs: object, type_: str) -> str:
        if ours is None and theirs is None:
            return "NULL"
        # Instants, and values that contain one, are those of the first recording. They need not move on.
        if ours == theirs or isinstance(ours, datetime | dict | bytes):
            return await self._constant(ours, type_)
        if isinstance(ours, UUID):
            return self._uuid(ours)
        if isinstance(ours, int):
            return f":{NUMBER}"
        if isinstance(ours, str):
            return self._text(ours)
        if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
            element = type_.removesuffix("[]")
            parts = [await self._expression(a, b, element) for a, b in zip(ours, theirs, strict=True)]
            return f"ARRAY[{', '.join(f'CAST({part} AS {element})' for part in parts)}]"
        raise CannotReplay(f"{ours!r} was {theirs!r} the second time")

    async def _constant(self, value: object, type_: str) -> str:
        name = f"c{len(self.constants)}"
        query = f"SELECT CAST(CAST($1 AS {type_}) AS text)"
        self.constants[name] = await self.connection.fetchval(query, value)
        return f":{name}"

    def _uuid(self, value: UUID) -> str:
        if value == numbered_uuid(self.first):
            return _numbered(0)
        role = self.roles.setdefault(value, len(self.roles) + 1)
        if role >= _ROLES_MAX:
            raise CannotReplay("too many ids")
        return _numbered(role)

    def _text(self, value: str) -> str:
        """Return the text with its user id and idempotency key computed."""
        known = {
            str(numbered_uuid(self.first)): f"CAST({_numbered(0)} AS text)",
            key_of(self.first): f"'{key_of(0)[:-1]}' || :{NUMBER}",
        }
        for token, expression in known.items():
            before, found, after = value.partition(token)
            if found:
                return f"'{before}' || {expression} || '{after}'"
        raise CannotReplay(f"the text {value!r} differs, and has neither the user's id nor the key")


def _numbered(role: int) -> str:
    return f"CAST('{_uuid_head(role)}' || lpad(to_hex(CAST(:{NUMBER} AS bigint)), 12, '0') AS uuid)"


def _uuid_head(role: int) -> str:
    """Return the first 20 of a UUID's 32 digits: an instant, the version, the role, the variant."""
    return f"0190000000007{role:03x}8000"


def _sql_type(parameter: asyncpg.Type) -> str:
    name = parameter.name
    return f"{name.removesuffix('[]').removeprefix('_')}[]" if parameter.kind == "array" else name
