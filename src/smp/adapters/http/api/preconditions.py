"""ETag, If-Match and If-None-Match (RFC 9110, sections 8.8.3 and 13.1).

A proxy that compresses a response marks its tag as weak or adds a suffix: ``W/"3"``, ``"3-gzip"``, ``"3;br"``. The
client sends that form back, so each form stands for the state that it names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from litestar.connection import Request

from smp.adapters.http.wire import ResponseModel
from smp.application.preconditions import VersionPrecondition

# One pass over the header: a tag has no quote inside, so each character is read at most twice.
_TAGS: Final = re.compile(r'"([\x21\x23-\x7e\x80-\xff]*)"')
# The version, the digest of the body, and what a proxy added.
_STATE: Final = re.compile(r"(([1-9][0-9]{0,17})(?:\.[0-9a-f]{8})?)(?:[^0-9A-Za-z.].*)?")


def version_tag(version: int) -> str:
    """Return the tag of a body in which nothing changes without its version."""
    return f'"{version}"'


def body_tag(version: int, document: ResponseModel) -> str:
    """Return the tag of a body that also shows what changes without its version, such as the name of another thing."""
    digest = hashlib.sha256(msgspec.json.encode(document, order="deterministic")).hexdigest()[:8]
    return f'"{version}.{digest}"'


def if_match(request: Request[Any, Any, Any]) -> VersionPrecondition | None:
    """Return the versions that ``If-Match`` accepts; a tag that is not of a version matches nothing."""
    header = request.headers.get("if-match")
    if header is None:
        return None
    if header.strip() == "*":
        return VersionPrecondition(None)
    return VersionPrecondition(frozenset(int(match[2]) for match in _states(header)))


def not_modified(if_none_match: str | None, tag: str) -> bool:
    """Return whether a GET can be answered with 304, because the client has the body with this tag."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag.strip('"') in (match[1] for match in _states(if_none_match))


def _states(header: str) -> Iterator[re.Match[str]]:
    for tag in _TAGS.finditer(header):
        match = _STATE.fullmatch(tag[1])
        if match is not None:
            yield match
