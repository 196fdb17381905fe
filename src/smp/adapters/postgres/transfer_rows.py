"""Rows as lines of JSON, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import reduce
from operator import or_
from types import MappingProxyType
from typing import Any, Final

import msgspec

from smp.adapters.postgres.mapping import instant_of
from smp.adapters.postgres.transfer_kinds import KINDS, Kind, Row
from smp.application.transfer import TransferRefused
from smp.domain.errors import InvalidValue


def _struct(kind: Kind) -> type[msgspec.Struct]:
    fields = [(column.name, column.type) for column in kind.columns]
    return msgspec.defstruct(
        kind.name, fields, tag_field="table", tag=kind.name, forbid_unknown_fields=True, frozen=True
    )


_STRUCTS: Final[Mapping[str, type[msgspec.Struct]]] = MappingProxyType({kind.name: _struct(kind) for kind in KINDS})
_KINDS: Final[Mapping[type[Any], Kind]] = MappingProxyType({_STRUCTS[kind.name]: kind for kind in KINDS})
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(reduce(or_, _STRUCTS.values()))


def lines_of(kind: Kind, rows: Iterable[Iterable[object]]) -> list[bytes]:
    """Each row as one line, without its end; the same row is always the same line."""
    struct = _STRUCTS[kind.name]
    return [_ENCODER.encode(struct(*map(_plain, row))) for row in rows]


def row_of(number: int, line: bytes) -> tuple[Kind, Row]:
    """The row in line ``number`` of a file.

    Raises:
        TransferRefused: naming the line and what is wrong with it: it is not JSON, a column is missing, unknown or of
            another type, or the program could not read such a row.
    """
    try:
        found = _DECODER.decode(line)
        kind = _KINDS[type(found)]
        kind.check(msgspec.structs.asdict(found))
    except (ValueError, RecursionError, InvalidValue) as damage:
        raise TransferRefused(f"line {number}: {damage}") from None
    return kind, msgspec.structs.astuple(found)


def _plain(value: object) -> object:
    return instant_of(value) if isinstance(value, datetime) else value
