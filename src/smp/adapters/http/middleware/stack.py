"""The areas of the HTTP interface, and the loop that runs the middlewares of a request's area."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from smp.adapters.http.asgi import App, Header, Message, Receive, Scope, Send, send_response
from smp.adapters.http.middleware.access_log import AccessLog
from smp.adapters.http.middleware.body import BodyParser
from smp.adapters.http.middleware.concurrency import ConcurrencyLimit
from smp.adapters.http.middleware.context import RequestContext
from smp.adapters.http.middleware.head import allow_head, treat_as_get, without_body
from smp.adapters.http.middleware.limits import discard_body
from smp.adapters.http.middleware.pieces import WHOLE_BYTES_MAX, send_in_pieces
from smp.adapters.http.middleware.request_id import request_id
from smp.adapters.http.problems.details import details, unexpected
from smp.application.ports.id_generator import IdGenerator

REQUEST_ID: Final = "smp_request_id"
"""The key of the request id in the scope."""

BASE_PATH: Final = "smp_base_path"
"""The key of the path in the scope that every address in a response begins with."""

_log = structlog.stdlib.get_logger("smp.http")

Check = Callable[[RequestContext], None]
"""A middleware that accepts a request, or raises RequestRejected before its body is read."""


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the HTTP interface with its rules."""

    holds: Callable[[str], bool]
    """Whether a path belongs to this area."""

    app: App
    checks: Sequence[Check]
    """In the order in which they run."""

    body: BodyParser
    headers: Sequence[Header]
    """Added to every response that does not have them."""

    limit: ConcurrencyLimit

    errors_only: bool = False
    """Log only requests that failed, because successful ones are too many."""


class MiddlewareStack:
    """The outermost ASGI application: every request passes the middlewares of its area, then its area's application.

    A flat loop: nested ASGI layers would cost each request about 3 % more.
    """

    def __init__(
        self, areas: Sequence[Area], lifespan: App, ids: IdGenerator, access_log: AccessLog, base_path: str = ""
    ) -> None:
        """The first of ``areas`` that holds a path has it; the last one must hold every path.

        ``lifespan`` serves the connections that are not HTTP requests. A proxy removes ``base_path`` from the requests.
        """
        self._base_path = base_path
        self._areas = areas
        self._lifespan = lifespan
        self._ids = ids
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._lifespan(scope, receive, send)
            return
        observe = self._access_log.observer or await self._access_log.connect()
        observe.began()
        context = self._open(scope)
        area = self._area_of(scope["path"])
        send = _sender(context, area, send)
        structlog.contextvars.bind_contextvars(request_id=scope[REQUEST_ID])
        try:
            for check in area.checks:
                check(context)
            if context.has_body:
                receive = await area.body.read(context, receive)
            area.limit.enter(context)
            await area.app(scope, receive, send)
        except Exception as error:
            problem = details(error)
            if problem is None:
                _log.exception("unexpected error")
            if context.status:
                raise
            response = (problem or unexpected()).answer(scope[REQUEST_ID], self._base_path)
            await send_response(send, response.status, _encoded(response.headers), response.body)
        finally:
            area.limit.leave(context)
            self._access_log.record(context, observe, errors_only=area.errors_only)
            structlog.contextvars.unbind_contextvars("request_id")
        if context.has_body and not context.is_body_read:
            await discard_body(receive)

    def _open(self, scope: Scope) -> RequestContext:
        headers = dict(scope["headers"])
        id_ = request_id(headers, self._ids)
        scope["state"] = dict(scope.get("state") or {})
        scope[REQUEST_ID] = id_.decode()
        scope[BASE_PATH] = self._base_path
        return RequestContext.of(scope, headers, id_, is_head=treat_as_get(scope))

    def _area_of(self, path: str) -> Area:
        for area in self._areas:
            if area.holds(path):
                return area
        raise LookupError(path)


def _sender(context: RequestContext, area: Area, send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            area.limit.leave(context)
            context.status = message["status"]
            headers = list(message["headers"])
            present = {name for name, _ in headers}
            headers.append((b"x-request-id", context.request_id))
            headers.extend(header for header in area.headers if header[0] not in present)
            if b"location" in present:
                headers = [_below(context.scope[BASE_PATH], header) for header in headers]
            if b"allow" in present:
                headers = [allow_head(header) for header in headers]
            message = {**message, "headers": headers}
        elif context.is_head:
            message = without_body(message)
        elif len(message.get("body", b"")) > WHOLE_BYTES_MAX and not message.get("more_body"):
            await send_in_pieces(send, message["body"])
            return
        await send(message)

    return send_with_headers


def _below(base_path: str, header: Header) -> Header:
    """Return a ``Location`` with the base path, and any other header unchanged."""
    name, value = header
    return (name, base_path.encode() + value) if name == b"location" and value.startswith(b"/") else header


def _encoded(headers: Mapping[str, str]) -> list[Header]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]
