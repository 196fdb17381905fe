"""ETag and If-Match, by strong comparison (RFC 9110, sections 8.8.3 and 13.1.1)."""

from __future__ import annotations

import re
from typing import Any, Final

from litestar.connection import Request

from smp.application.preconditions import VersionPrecondition

_TAGS: Final = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')
_VERSION: Final = re.compile(r"[1-9][0-9]{0,17}")


def etag(version: int) -> str:
    """The strong validator of this version."""
    return f'"{version}"'


def if_match(request: Request[Any, Any, Any]) -> VersionPrecondition | None:
    """Return what ``If-Match`` demands; a tag that is weak or not a version matches nothing."""
    header = request.headers.get("if-match")
    if header is None:
        return None
    if header.strip() == "*":
        return VersionPrecondition(None)
    strong = (match[2] for match in _TAGS.finditer(header) if match[1] is None)
    return VersionPrecondition(frozenset(int(tag) for tag in strong if _VERSION.fullmatch(tag)))


def not_modified(if_none_match: str | None, version: int) -> bool:
    """Whether a GET can be answered with 304, by weak comparison (RFC 9110, section 13.1.2)."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or str(version) in (match[2] for match in _TAGS.finditer(if_none_match))
