"""ETag and If-Match, by strong comparison (RFC 9110, sections 8.8.3 and 13.1.1)."""

from __future__ import annotations

import re
from typing import Final

from smp.application.preconditions import VersionPrecondition

_TAGS: Final = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')
_VERSION: Final = re.compile(r"[1-9][0-9]{0,17}")


def etag(version: int) -> str:
    """The strong validator of this version."""
    return f'"{version}"'


def expected(if_match: str | None) -> VersionPrecondition | None:
    """What the header demands. A tag that no version of ours has, a weak one among them, matches nothing."""
    if if_match is None:
        return None
    if if_match.strip() == "*":
        return VersionPrecondition(None)
    strong = (match[2] for match in _TAGS.finditer(if_match) if match[1] is None)
    return VersionPrecondition(frozenset(int(tag) for tag in strong if _VERSION.fullmatch(tag)))


def not_modified(if_none_match: str | None, version: int) -> bool:
    """Whether a GET can be answered with 304, by weak comparison (RFC 9110, section 13.1.2)."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or str(version) in (match[2] for match in _TAGS.finditer(if_none_match))
