"""Parameters of paths and queries."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar.params import QueryParameter

from smp.adapters.http.problems.rejection import FieldError, RequestRejected
from smp.application.paging import LIMIT_DEFAULT, LIMIT_MAX
from smp.domain.errors import SessionNotFound, UserNotFound

INSTANT: Final = "an RFC 3339 instant in the years 1 to 9999, such as 2027-01-31T12:00:00Z"
"""The words for the only allowed texts of an instant."""

_SECONDS: Final = slice(16, 19)
"""The place of the seconds and the colon before them."""

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")

LimitParameter = Annotated[
    int, QueryParameter(name="limit", ge=1, le=LIMIT_MAX, description="The most items that a page has.")
]
CursorParameter = Annotated[
    str | None,
    QueryParameter(
        name="cursor", min_length=1, max_length=1_000, description="The `next_cursor` of the previous page."
    ),
]
LIMIT: Final = LIMIT_DEFAULT
PAGING: Final = ("limit", "cursor")

InstantText = Annotated[
    str,
    msgspec.Meta(
        max_length=64,
        description="an RFC 3339 instant",
        examples=["2027-01-31T12:00:00Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
AwareDatetime = Annotated[datetime, msgspec.Meta(tz=True)]
UUID_FORMAT: Final = {"format": "uuid"}
INSTANT_FORMAT: Final = {"format": "date-time"}
PositionInteger = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


def uuid_or_none(text: str) -> UUID | None:
    """Return the id that the text is in canonical form; ``None`` for any other text."""
    return UUID(text) if _UUID.fullmatch(text) else None


def user_id_of(text: str) -> UUID:
    """Return the user id that a path names. Raises UserNotFound for a text that is not a UUID."""
    user_id = uuid_or_none(text)
    if user_id is None:
        raise UserNotFound(text)
    return user_id


def session_id_of(text: str) -> UUID:
    """Return the session id that a path names. Raises SessionNotFound for a text that is not a UUID."""
    session_id = uuid_or_none(text)
    if session_id is None:
        raise SessionNotFound(text)
    return session_id


def instant(name: str, text: str | None) -> datetime | None:
    """Return the UTC instant that an RFC 3339 text names.

    Raises:
        RequestRejected: for any other text.
    """
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError:
        raise bad_parameter(name, f"must be {INSTANT}") from None


def parse_instant(text: str) -> datetime:
    """Return the UTC instant that an RFC 3339 text names. A leap second, ``:60``, is read as the second after it.

    Raises:
        ValueError: for any other text, and for an instant that is not in the years 1 to 9999 of UTC.
    """
    is_leap_second = text[_SECONDS] == ":60"
    if is_leap_second:
        text = f"{text[: _SECONDS.start]}:59{text[_SECONDS.stop :]}"
    try:
        return utc(msgspec.convert(text, AwareDatetime)) + timedelta(seconds=is_leap_second)
    except (msgspec.ValidationError, OverflowError) as error:
        raise ValueError("not an instant") from error


def utc(instant: datetime) -> datetime:
    """Return the instant in UTC. Raises ValueError if it is not in the years 1 to 9999 of UTC."""
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("not an instant in the years 1 to 9999 of UTC") from error


def bad_parameter(name: str, detail: str) -> RequestRejected:
    """Return the rejection of one parameter."""
    return RequestRejected("invalid-parameter", f"{name} {detail}", errors=(FieldError(f"/{name}", detail),))
