"""More requests than an area works on at once, and clients that read slowly or send more than is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest
from structlog.testing import capture_logs

from smp.adapters.http.asgi import App, Message, Receive, Scope, Send, send_response
from smp.adapters.http.client_source import ClientSources
from smp.adapters.http.middleware.access_log import AccessLog, RequestObserver, SourceOf
from smp.adapters.http.middleware.body import BodyParser
from smp.adapters.http.middleware.concurrency import ConcurrencyLimit
from smp.adapters.http.middleware.json_body import JSON
from smp.adapters.http.middleware.limits import BODY_BYTES_MAX, DISCARDED_BYTES_MAX
from smp.adapters.http.middleware.pieces import PIECE_BYTES, WHOLE_BYTES_MAX, send_in_pieces
from smp.adapters.http.middleware.stack import Area, MiddlewareStack
from smp.adapters.system.id_generator import Uuid7IdGenerator

AT_ONCE = 3
LARGE = bytes(range(256)) * 1_000


class Unobserved(RequestObserver):
    """Drops every observation."""

    def began(self) -> None:
        """Do nothing."""

    def __call__(self, method: str, route: str, status: int, elapsed_s: float) -> None:
        """Do nothing."""


class Work:
    """An application whose requests wait until they are let go."""

    def __init__(self) -> None:
        self.running = 0
        self.may_end = asyncio.Event()

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Respond when it is let go."""
        self.running += 1
        await self.may_end.wait()
        await send_response(send, 200, [], b"done")


async def large(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Respond with a large body."""
    await send_response(send, 200, [], LARGE)


async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """End without a response."""
    raise ZeroDivisionError


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def stack(work: Work) -> MiddlewareStack:
    async def observer() -> tuple[RequestObserver, SourceOf]:
        return Unobserved(), ClientSources(0).of_scope

    def area(prefix: str, app: App) -> Area:
        body = BodyParser(JSON)
        checks = (body.check_media_type,)
        return Area(lambda path: path.startswith(prefix), app, checks, body, (), ConcurrencyLimit(AT_ONCE))

    areas = (area("/large", large), area("/fail", fail), area("/other", Work()), area("/", work))
    return MiddlewareStack(areas, work, Uuid7IdGenerator(), AccessLog(observer))


@pytest.fixture
async def client(stack: MiddlewareStack) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=stack, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://smp.example") as client:
        yield client


async def until_running(work: Work, count: int) -> None:
    async with asyncio.timeout(10):
        while work.running < count:
            await asyncio.sleep(0)


async def test_a_request_beyond_those_in_progress_is_answered_with_503_busy(
    client: httpx.AsyncClient, work: Work
) -> None:
    running = [asyncio.create_task(client.get("/x")) for _ in range(AT_ONCE)]
    await until_running(work, AT_ONCE)
    answer = await client.get("/x")
    assert (answer.status_code, answer.json()["type"], answer.headers["retry-after"]) == (503, "/problems/busy", "1")
    assert (await client.get("/large")).status_code == 200, "every area has places of its own"
    work.may_end.set()
    assert [answer.status_code for answer in await asyncio.gather(*running)] == [200] * AT_ONCE
    assert (await client.get("/x")).status_code == 200


async def test_every_request_gives_its_place_back(client: httpx.AsyncClient, work: Work) -> None:
    """Also one that is refused, fails, or is answered without work."""
    work.may_end.set()
    for _ in range(AT_ONCE + 1):
        assert (await client.get("/fail")).status_code == 500
        assert (await client.post("/x", content=b"{", headers={"content-type": "application/json"})).status_code == 400
        assert (await client.get("/x")).status_code == 200


async def test_a_client_that_does_not_finish_its_body_takes_no_place(stack: MiddlewareStack, work: Work) -> None:
    begun = 0
    never = asyncio.Event()

    async def receive() -> Message:
        nonlocal begun
        begun += 1
        await never.wait()
        raise AssertionError

    async def send(_message: Message) -> None:
        """Drop it."""

    headers = [(b"content-length", b"2"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/x", "query_string": b"", "headers": headers}
    stuck = [asyncio.create_task(stack(dict(scope), receive, send)) for _ in range(AT_ONCE * 2)]
    async with asyncio.timeout(10):
        while begun < len(stuck):
            await asyncio.sleep(0)
    honest = asyncio.create_task(stack({**scope, "method": "GET", "headers": []}, receive, send))
    await until_running(work, 1)
    work.may_end.set()
    await honest
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)


class SlowClient:
    """A connection with room for a few parts of a response, which a client does not read."""

    def __init__(self, room: int) -> None:
        self.parts: list[Message] = []
        self._room = room

    async def send(self, message: Message) -> None:
        """Take the part; wait for ever if there is no room."""
        if len(self.parts) == self._room:
            await asyncio.Event().wait()
        self.parts.append(message)


async def test_a_large_response_is_sent_in_pieces_and_arrives_whole(client: httpx.AsyncClient) -> None:
    assert len(LARGE) > WHOLE_BYTES_MAX
    answer = await client.get("/large")
    assert answer.content == LARGE
    assert answer.headers["content-length"] == str(len(LARGE))
    connection = SlowClient(room=1_000)
    await send_in_pieces(connection.send, LARGE)
    assert b"".join(part["body"] for part in connection.parts) == LARGE
    assert max(len(part["body"]) for part in connection.parts) == PIECE_BYTES
    assert [part["more_body"] for part in connection.parts] == [True] * (len(connection.parts) - 1) + [False]


async def test_a_client_that_does_not_read_gets_no_more_and_takes_no_place(stack: MiddlewareStack) -> None:
    connections = [SlowClient(room=2) for _ in range(AT_ONCE * 2)]
    scope = {"type": "http", "method": "GET", "path": "/large", "query_string": b"", "headers": []}

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    stuck = [asyncio.create_task(stack(dict(scope), receive, each.send)) for each in connections]
    async with asyncio.timeout(10):
        while not all(len(each.parts) == 2 for each in connections):
            await asyncio.sleep(0)
    assert [each.parts[0]["status"] for each in connections] == [200] * len(connections)
    assert all(len(each.parts[1]["body"]) == PIECE_BYTES for each in connections)
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)
    connection = SlowClient(room=2)
    with capture_logs() as lines:
        await send_in_pieces(connection.send, LARGE, deadline_s=0.01)
    assert [line["sent_bytes"] for line in lines] == [2 * PIECE_BYTES]


@pytest.mark.parametrize(
    ("chunks", "headers", "status"),
    [
        ([b" " * 10_000] * 20, {}, 413),
        ([b" " * 10_000] * 20, {"content-length": "200000"}, 413),
        ([b" " * 10_000] * 20, {"content-type": "text/plain", "content-length": "200000"}, 415),
        ([b" " * 1_000_000] * 100, {}, 413),
    ],
)
async def test_the_rest_of_a_refused_body_is_read_within_limits_after_the_response(
    stack: MiddlewareStack, chunks: Sequence[bytes], headers: dict[str, str], status: int
) -> None:
    """A connection that is closed before is reset, and the response is lost."""
    received = 0
    received_at_response = -1

    async def receive() -> Message:
        nonlocal received
        received += 1
        return {"type": "http.request", "body": chunks[received - 1], "more_body": received < len(chunks)}

    async def send(message: Message) -> None:
        nonlocal received_at_response
        if message["type"] == "http.response.start":
            assert message["status"] == status
            received_at_response = received

    encoded = {"content-type": "application/json", "transfer-encoding": "chunked"} | headers
    scope = {
        "type": "http", "method": "POST", "path": "/x", "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in encoded.items()],
    }  # fmt: skip
    await stack(scope, receive, send)
    size = len(chunks[0])
    assert received_at_response * size <= BODY_BYTES_MAX + size
    assert received == min(len(chunks), received_at_response + DISCARDED_BYTES_MAX // size + 1)
