"""Opaque cursors: where a list goes on, as a caller carries it."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any, Final

import msgspec

from smp.adapters.http.parameters import utc
from smp.adapters.http.problems.rejection import RequestRejected

PositionType = Any
"""The type of a list's positions, as msgspec takes it."""
Position = Any
"""A value of that type."""
CURSOR_LENGTH_MAX: Final = 1_000


def encode(list_name: str, position: object | None) -> str | None:
    """The cursor of this position in this list; ``None`` behind the last page."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(msgspec.json.encode([list_name, position])).rstrip(b"=").decode()


def decode(list_name: str, cursor: str | None, position_type: PositionType) -> Position | None:
    """The position that the cursor names; ``None`` where there is no cursor.

    Raises:
        RequestRejected: where this list did not make it.
    """
    if cursor is None:
        return None
    try:
        name, parts = msgspec.json.decode(_text(cursor), type=tuple[str, position_type])
        position = tuple(utc(part) if isinstance(part, datetime) else part for part in parts)
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        name, position = "", None
    if name != list_name:
        raise RequestRejected("invalid-cursor", "the cursor was not made by this list")
    return position


def _text(cursor: str) -> bytes:
    """What is encoded in the cursor; a text with NUL is nothing, because no position has one."""
    text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    return b"" if b"\\u0000" in text or len(text) > CURSOR_LENGTH_MAX else text
