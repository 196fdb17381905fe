"""The body of a request: which kinds an area takes, read within the limits and parsed once.

The parsed body is ``scope["state"]["body"]``; where there is no body, the state has no such key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from smp.adapters.http.asgi import Message, Receive
from smp.adapters.http.middleware.context import RequestContext
from smp.adapters.http.middleware.limits import read_body
from smp.adapters.http.problems.rejection import RequestRejected

BODY: Final = "body"
"""The key of the parsed body in the scope's state."""


@dataclass(frozen=True, slots=True)
class BodyKind:
    """A form that a body may have."""

    media_type: str
    """What to send, for messages."""

    accepts: Callable[[str, bytes], bool]
    """Whether a request of this method with this ``Content-Type`` has this kind of body."""

    parse: Callable[[bytes], object]
    """Return the parsed body. Raises RequestRejected for one that is malformed."""


class BodyParser:
    """The kinds of body that an area takes; an area without any takes no body."""

    def __init__(self, *kinds: BodyKind) -> None:
        self._kinds = kinds

    def check_media_type(self, context: RequestContext) -> None:
        """Accept a request unless it declares a body of another kind. Only a body that has bytes needs a type.

        Whether a body without a declared length has bytes is known when it has arrived: :meth:`read` checks its type.

        Raises:
            RequestRejected: ``unsupported-media-type``.
        """
        if context.declares_bytes:
            self._kind_of(context)

    async def read(self, context: RequestContext, receive: Receive) -> Receive:
        """Read the body and put it, parsed, into the scope. Return a ``receive`` that delivers it again.

        Raises:
            RequestRejected: where it is of another kind, breaks a limit, or is malformed.
        """
        body = await read_body(context.headers, receive)
        context.is_body_read = True
        if body:
            context.scope["state"][BODY] = self._kind_of(context).parse(body)
        delivered = False

        async def replay() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": body, "more_body": False}

        return replay

    def _kind_of(self, context: RequestContext) -> BodyKind:
        method, media_type = context.scope["method"], context.headers.get(b"content-type", b"")
        for kind in self._kinds:
            if kind.accepts(method, media_type):
                return kind
        accepted = " or ".join(kind.media_type for kind in self._kinds)
        raise RequestRejected("unsupported-media-type", f"send the body as {accepted}" if accepted else "send no body")
