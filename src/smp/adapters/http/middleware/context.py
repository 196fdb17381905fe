"""One request on its way through the middlewares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from smp.adapters.http.asgi import Scope

UNSAFE_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(slots=True)
class RequestContext:
    """What the middlewares share about a request; ``status`` is 0 until the response starts."""

    scope: Scope
    headers: Mapping[bytes, bytes]
    request_id: bytes
    is_head: bool
    is_unsafe: bool
    """Whether the method may change something."""

    has_body: bool
    """Whether the client announces a body, with a method that may have one. It may turn out to have no bytes."""

    declares_bytes: bool
    """Whether ``Content-Length`` announces at least one byte of it."""

    started_s: float
    status: int = 0
    is_body_read: bool = False
    has_place: bool = False
    """Whether the request counts among those that are worked on."""

    @classmethod
    def of(cls, scope: Scope, headers: Mapping[bytes, bytes], request_id: bytes, *, is_head: bool) -> RequestContext:
        """Begin a request."""
        is_unsafe = scope["method"] in UNSAFE_METHODS
        declares_bytes = is_unsafe and headers.get(b"content-length", b"").strip(b"0 ") != b""
        has_body = declares_bytes or (is_unsafe and b"transfer-encoding" in headers)
        return cls(scope, headers, request_id, is_head, is_unsafe, has_body, declares_bytes, perf_counter())
