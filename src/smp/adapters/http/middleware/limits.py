"""Limits of a request: its target, its headers, the size of its body, and the time in which the body must arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from smp.adapters.http.asgi import Receive
from smp.adapters.http.middleware.context import RequestContext
from smp.adapters.http.problems.rejection import RequestRejected

TARGET_BYTES_MAX: Final = 8 * 1024
HEADERS_BYTES_MAX: Final = 16 * 1024
BODY_BYTES_MAX: Final = 64 * 1024
BODY_DEADLINE_S: Final = 10.0
DISCARDED_BYTES_MAX: Final = 16 * 1024 * 1024
DISCARD_DEADLINE_S: Final = 5.0


def limit_target(context: RequestContext) -> None:
    """Accept a target (path and query) of up to 8 KiB, whose path has printable characters only.

    Raises:
        RequestRejected: ``uri-too-long`` or ``malformed-request`` for any other target.
    """
    scope = context.scope
    if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > TARGET_BYTES_MAX:
        raise RequestRejected("uri-too-long", f"the path and the query must have at most {TARGET_BYTES_MAX} bytes")
    if not scope["path"].isprintable():
        raise RequestRejected("malformed-request", "the path contains characters that are not allowed")


def limit_headers(context: RequestContext) -> None:
    """Accept headers whose names and values have up to 16 KiB in total, so that no parser of a header gets more.

    Raises:
        RequestRejected: ``headers-too-large``.
    """
    size = 0
    for name, value in context.scope["headers"]:
        size += len(name) + len(value)
    if size > HEADERS_BYTES_MAX:
        raise RequestRejected("headers-too-large", f"all headers together must have at most {HEADERS_BYTES_MAX} bytes")


async def read_body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    """Read the whole body.

    Raises:
        RequestRejected: ``content-too-large`` for more than 64 KiB; ``request-timeout`` where the body is not complete
            after 10 seconds, or the client disconnects before.
    """
    declared = headers.get(b"content-length", b"").strip()
    if declared.isdigit() and int(declared[:19]) > BODY_BYTES_MAX:
        raise _too_large()
    chunks = bytearray()
    try:
        async with asyncio.timeout(BODY_DEADLINE_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestRejected("request-timeout", "the client disconnected before the body was complete")
                chunks += message.get("body", b"")
                if len(chunks) > BODY_BYTES_MAX:
                    raise _too_large()
                if not message.get("more_body"):
                    return bytes(chunks)
    except TimeoutError:
        raise RequestRejected("request-timeout", f"the body did not arrive within {BODY_DEADLINE_S:.0f} s") from None


async def discard_body(receive: Receive) -> None:
    """Read the rest of a body after its request was refused, within limits, and drop it.

    A connection that is closed while data arrive is reset, and then the client cannot read the response.
    """
    discarded = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_DEADLINE_S):
            while discarded <= DISCARDED_BYTES_MAX:
                message = await receive()
                discarded += len(message.get("body", b""))
                if not message.get("more_body"):
                    return


def _too_large() -> RequestRejected:
    return RequestRejected("content-too-large", f"the body must have at most {BODY_BYTES_MAX} bytes")
