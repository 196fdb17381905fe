"""Clients of the HTTP API: a browser with one connection, and many requests at the same instant."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Self

COOKIE: Final = "smp_session"
TIMEOUT_S: Final = 30.0
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Reply:
    """A response; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return the JSON document in the body."""
        return json.loads(self.body)

    @property
    def slug(self) -> str | None:
        """Return the slug of the problem, if the response is one."""
        if self.headers.get("content-type") != "application/problem+json":
            return None
        return str(self.document["type"]).removeprefix("/problems/")

    @property
    def is_replayed(self) -> bool:
        """Return whether the response is a replay."""
        return self.headers.get("idempotency-replayed") == "true"


class Browser:
    """A caller with one connection; a lost one is replaced with the next request."""

    def __init__(self, port: int, token: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self.token = token
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] = _NO_HEADERS) -> Reply:
        """Send one request and return its response. Raises OSError, also for an incomplete response."""
        content = None if body is None else json.dumps(body).encode()
        try:
            self._connection.request(method, path, content, _headers(self.token, content, headers))
            answer = self._connection.getresponse()
            reply = _reply(answer)
        except http.client.HTTPException as error:
            self._connection.close()
            raise ConnectionError(repr(error)) from error
        except OSError:
            self._connection.close()
            raise
        return reply

    def log_in(self, email: str, password: str) -> Reply:
        """Sign in, and keep the cookie."""
        reply = self.ask("POST", "/v1/auth/login", {"email": email, "password": password})
        assert reply.status == 200, reply
        self.token = reply.headers["set-cookie"].partition(";")[0].removeprefix(f"{COOKIE}=")
        return reply


@dataclass(frozen=True, slots=True)
class Call:
    """A request to the service at ``port`` that is not sent yet."""

    port: int
    method: str
    path: str
    body: object = None
    token: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Return the request as HTTP/1.1, on a connection that closes after the response."""
        content = None if self.body is None else json.dumps(self.body).encode()
        headers = _headers(self.token, content, self.headers)
        lines = [f"{self.method} {self.path} HTTP/1.1", f"host: 127.0.0.1:{self.port}", "connection: close"]
        lines += [f"content-length: {len(content or b'')}"] if self.method != "GET" else []
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + (content or b"")


async def send(call: Call, timeout_s: float = TIMEOUT_S) -> Reply:
    """Send one request on a new connection. Raises OSError, also for an incomplete response."""
    (reply,) = await send_all([call], timeout_s)
    if isinstance(reply, OSError):
        raise reply
    return reply


async def send_all(calls: Sequence[Call], timeout_s: float = TIMEOUT_S) -> list[Reply | OSError]:
    """Send all requests at the same instant: every connection is open before the first request is written.

    Returns the response to each request, or the error.
    """
    opened = await asyncio.gather(*(_open(call) for call in calls), return_exceptions=True)
    for call, connection in zip(calls, opened, strict=True):
        if not isinstance(connection, BaseException):
            connection[1].write(call.encoded())
    return await asyncio.gather(*(_answer(connection, timeout_s) for connection in opened))


_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _open(call: Call) -> _Connection:
    return await asyncio.open_connection("127.0.0.1", call.port)


async def _answer(connection: _Connection | BaseException, timeout_s: float) -> Reply | OSError:
    if isinstance(connection, OSError):
        return connection
    if isinstance(connection, BaseException):
        raise connection
    reader, writer = connection
    try:
        async with asyncio.timeout(timeout_s):
            received = await reader.read()
        return _parsed(received)
    except OSError as error:
        return error
    finally:
        writer.transport.abort()


class _Received:
    """Received bytes with the interface of a socket."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._received)


def _parsed(received: bytes) -> Reply:
    answer = http.client.HTTPResponse(_Received(received))  # type: ignore[arg-type]
    try:
        answer.begin()
        return _reply(answer)
    except http.client.HTTPException as error:
        raise ConnectionError(repr(error)) from error


def _reply(answer: http.client.HTTPResponse) -> Reply:
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return Reply(answer.status, headers, answer.read())


def _headers(token: str | None, content: bytes | None, others: Mapping[str, str]) -> dict[str, str]:
    headers = dict(others)
    if token is not None:
        headers["cookie"] = f"{COOKIE}={token}"
    if content is not None:
        headers.setdefault("content-type", "application/json")
    return headers
