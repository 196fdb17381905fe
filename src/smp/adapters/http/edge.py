"""The outermost layer: what holds for every request, before and after any route.

In this order: the request id, HEAD as GET, paths that are text, the media type, the origin, the size and the form
of the body. Every answer leaves with the request id and the security headers, and is counted and logged.
"""

from __future__ import annotations

import asyncio
import re
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final, Protocol

import msgspec
import structlog

from smp.adapters.http.origin import is_cross_origin
from smp.adapters.http.problems import RequestRejected, details, unexpected
from smp.application.idempotency import StoredResponse
from smp.application.ports.id_generator import IdGenerator

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

BODY_BYTES_MAX: Final = 64 * 1024
BODY_DEADLINE_S: Final = 10.0
JSON_DEPTH_MAX: Final = 32
QUERY_BYTES_MAX: Final = 8 * 1024

UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_METHODS_WITH_BODY: Final = UNSAFE
_JSON: Final = re.compile(rb"\s*application/json\s*(?:;\s*charset\s*=\s*\"?utf-?8\"?\s*)?", re.IGNORECASE)
_PATCH: Final = re.compile(
    rb"\s*application/(?:json|merge-patch\+json)\s*(?:;\s*charset\s*=\s*\"?utf-?8\"?\s*)?", re.IGNORECASE
)
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_QUIET: Final = ("/health/live", "/health/ready", "/metrics", "/access", "/access/{feature}")
"""Routes that are asked so often that only their failures are logged; all are counted."""

_log = structlog.stdlib.get_logger("smp.http")

API_POLICY: Final = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"


class RequestObserver(Protocol):
    """Hears of every answer."""

    @abstractmethod
    def __call__(self, method: str, route: str, status: int, elapsed_s: float) -> None:
        """One went out: to a request of this method, for this route's template, after so long."""


@dataclass(slots=True)
class _Exchange:
    """One request and what became of it."""

    scope: Scope
    headers: Mapping[bytes, bytes]
    request_id: bytes
    head: bool
    status: int = 0
    started: float = field(default_factory=perf_counter)


class Edge:
    """Wraps the application; nothing gets in or out around it."""

    def __init__(
        self, app: App, ids: IdGenerator, observer: Callable[[], Awaitable[RequestObserver]], *, strict_transport: bool
    ) -> None:
        """``observer`` gives who hears of answers; it is asked once, at the first request."""
        self._app = app
        self._ids = ids
        self._observer = observer
        self._observe: RequestObserver | None = None
        self._headers = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"x-frame-options", b"DENY"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"content-security-policy", API_POLICY),
            (b"cache-control", b"no-store"),
        ]
        if strict_transport:
            self._headers.append((b"strict-transport-security", b"max-age=31536000; includeSubDomains"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        observe = self._observe
        if observe is None:
            observe = self._observe = await self._observer()
        exchange = self._open(scope)
        sender = self._sender(exchange, send)
        structlog.contextvars.bind_contextvars(request_id=scope["smp_request_id"])
        try:
            await self._app(scope, await self._checked(exchange, receive), sender)
        except Exception as error:
            problem = details(error)
            if problem is None:
                _log.exception("unexpected error")
            if exchange.status:
                raise
            await _answer(sender, (problem or unexpected()).answer(scope["smp_request_id"]))
        finally:
            _close(exchange, observe)
            structlog.contextvars.unbind_contextvars("request_id")

    def _open(self, scope: Scope) -> _Exchange:
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(self._ids.new()).encode()
        head = scope["method"] == "HEAD"
        if head:
            scope["method"] = "GET"
        scope["state"] = dict(scope.get("state") or {})
        scope["smp_request_id"] = request_id.decode()
        return _Exchange(scope, headers, request_id, head)

    async def _checked(self, exchange: _Exchange, receive: Receive) -> Receive:
        """The request's body, read whole, sound JSON, and given on as one message."""
        scope, headers = exchange.scope, exchange.headers
        _check_target(scope)
        if scope["method"] not in UNSAFE:
            return receive
        has_body = headers.get(b"content-length", b"0").strip() != b"0" or b"transfer-encoding" in headers
        if has_body and not (_PATCH if scope["method"] == "PATCH" else _JSON).fullmatch(
            headers.get(b"content-type", b"")
        ):
            raise RequestRejected("unsupported-media-type", "send the body as application/json")
        if is_cross_origin(headers):
            raise RequestRejected("cross-origin-request", "a page of another origin may not change anything here")
        body = await _read(headers, receive) if has_body else b""
        if body:
            check_json(body)
            scope["smp_body"] = body
        delivered = False

        async def replay() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": body, "more_body": False}

        return replay

    def _sender(self, exchange: _Exchange, send: Send) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                headers = list(message["headers"])
                present = {name for name, _ in headers}
                headers.append((b"x-request-id", exchange.request_id))
                headers.extend(pair for pair in self._headers if pair[0] not in present)
                if b"allow" in present:
                    headers = [_with_head(name, value) for name, value in headers]
                message = {**message, "headers": headers}
            elif exchange.head:
                message = {**message, "body": b""}
            await send(message)

        return send_with_headers


def check_json(body: bytes) -> None:
    """Let a body pass that is JSON, in UTF-8 and not too deep.

    Raises:
        RequestRejected: for anything else.
    """
    depth = deepest = 0
    if body.count(b"[") + body.count(b"{") > JSON_DEPTH_MAX:
        for token in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', body, re.DOTALL):
            first = token.group()[:1]
            depth += 1 if first in b"[{" else -1 if first in b"]}" else 0
            deepest = max(deepest, depth)
        if deepest > JSON_DEPTH_MAX:
            raise RequestRejected("malformed-request", f"the body is nested more than {JSON_DEPTH_MAX} deep")
    try:
        msgspec.json.decode(body)
    except msgspec.ValidationError:
        raise RequestRejected("malformed-request", "the body holds a number that is out of range") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RequestRejected("malformed-request", "the body is not JSON in UTF-8") from None


def _close(exchange: _Exchange, observe: RequestObserver) -> None:
    elapsed_s = perf_counter() - exchange.started
    scope = exchange.scope
    method = "HEAD" if exchange.head else scope["method"]
    template = scope.get("path_template") or "unmatched"
    status = exchange.status or 500
    observe(method, template, status, elapsed_s)
    if status < 400 and template.endswith(_QUIET):  # noqa: PLR2004 - the first status of errors
        return
    _log.info("request", method=method, path=scope["path"], status=status, duration_ms=round(elapsed_s * 1000, 2))


def _check_target(scope: Scope) -> None:
    """Paths and queries are text of a sane size, without NUL."""
    path = scope["path"]
    if "\x00" in path or not path.isprintable() or len(scope["query_string"]) > QUERY_BYTES_MAX:
        raise RequestRejected("malformed-request", "the path or the query holds what no address of ours holds")


async def _read(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    declared = headers.get(b"content-length", b"").strip()
    if declared.isdigit() and int(declared[:19]) > BODY_BYTES_MAX:
        raise RequestRejected("content-too-large", f"the body may have up to {BODY_BYTES_MAX} bytes")
    chunks = bytearray()
    try:
        async with asyncio.timeout(BODY_DEADLINE_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestRejected("request-timeout", "the client went away before the body was complete")
                chunks += message.get("body", b"")
                if len(chunks) > BODY_BYTES_MAX:
                    raise RequestRejected("content-too-large", f"the body may have up to {BODY_BYTES_MAX} bytes")
                if not message.get("more_body"):
                    return bytes(chunks)
    except TimeoutError:
        raise RequestRejected("request-timeout", f"the body did not arrive within {BODY_DEADLINE_S:.0f} s") from None


async def _answer(send: Send, answer: StoredResponse) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def _with_head(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Where GET is allowed HEAD is, for it is answered as GET."""
    if name.lower() == b"allow" and b"GET" in value and b"HEAD" not in value:
        return name, value + b", HEAD"
    return name, value
