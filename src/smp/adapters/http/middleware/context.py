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
    """Whether the client announces a body, with a method that may have one."""

    started_s: float
    status: int = 0

    @classmethod
    def of(cls, scope: Scope, headers: Mapping[bytes, bytes], request_id: bytes, *, is_head: bool) -> RequestContext:
        """Begin a request."""
        is_unsafe = scope["method"] in UNSAFE_METHODS
        has_body = is_unsafe and (
            headers.get(b"content-length", b"0").strip() != b"0" or b"transfer-encoding" in headers
        )
        return cls(scope, headers, request_id, is_head, is_unsafe, has_body, perf_counter())
