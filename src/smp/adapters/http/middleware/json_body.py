"""JSON bodies: strict about the media type, UTF-8 and the depth."""

from __future__ import annotations

from typing import Final

import msgspec

from smp.adapters.http.middleware.body import BodyKind
from smp.adapters.http.middleware.media_type import utf8_media_type
from smp.adapters.http.problems.rejection import RequestRejected

JSON_DEPTH_MAX: Final = 32

_JSON: Final = b"application/json"
_MERGE_PATCH: Final = b"application/merge-patch+json"


def accepts_json(method: str, content_type: bytes) -> bool:
    """``application/json``; PATCH also takes ``application/merge-patch+json``."""
    media_type = utf8_media_type(content_type)
    return media_type == _JSON or (method == "PATCH" and media_type == _MERGE_PATCH)


def parse_json(body: bytes) -> object:
    """Decode a body that is JSON in UTF-8 and at most 32 arrays and objects deep, in time linear in its length.

    Raises:
        RequestRejected: ``malformed-request`` for any other body.
    """
    try:
        document = msgspec.json.decode(body)
    except msgspec.ValidationError:
        raise RequestRejected("malformed-request", "the body has a number that is out of range") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RequestRejected("malformed-request", "the body is not JSON in UTF-8") from None
    except RecursionError:
        raise _too_deep() from None
    if body.count(b"[") + body.count(b"{") > JSON_DEPTH_MAX and _is_too_deep(document):
        raise _too_deep()
    return document


def _is_too_deep(document: object) -> bool:
    level = [document]
    for _ in range(JSON_DEPTH_MAX):
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)  # type: ignore[attr-defined]
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def _too_deep() -> RequestRejected:
    return RequestRejected("malformed-request", f"the body must be nested at most {JSON_DEPTH_MAX} deep")


JSON: Final = BodyKind("application/json", accepts_json, parse_json)
