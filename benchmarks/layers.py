"""The time of an access check by layer: the same check is run on each layer, from the inside out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import cycle
from time import process_time
from typing import Any, Final

import asyncpg
from dishka import Provider, Scope, provide

from benchmarks.figures import middle
from benchmarks.load import CONNECTIONS
from benchmarks.recording import Journal, RecordingPool, Sent
from benchmarks.scenarios import FEATURE
from benchmarks.sessions import SignedIn
from smp.adapters.http.access.app import AccessApp
from smp.adapters.http.access.endpoint import AccessEndpoint
from smp.adapters.postgres.access_reader import PostgresAccessReader
from smp.adapters.postgres.pool import PostgresPool, create_pool
from smp.adapters.postgres.session_reader import PostgresSessionReader
from smp.adapters.postgres.statements import set_codecs
from smp.adapters.postgres.urls import driver_url
from smp.adapters.system.token_generator import SecretsTokenGenerator
from smp.application.caller import ANONYMOUS, OPERATOR, Caller
from smp.application.execution import Handler
from smp.application.queries.authenticate import Authenticate
from smp.application.queries.check_access import CheckAccess
from smp.bootstrap.container import build_container
from smp.bootstrap.http import HttpProvider, build_app
from smp.bootstrap.settings import Settings, load_settings
from smp.domain.access import AccessDecision

AT_ONCE: Final = CONNECTIONS
"""Concurrent checks: as many as over HTTP."""

_CALLS: Final = 1_600
_HEADERS: Final = ((b"host", b"127.0.0.1"), (b"user-agent", b"bench"))

Ask = Callable[[SignedIn], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer, and the processor time of a check in it and in all layers inside it."""

    name: str
    cpu_us: float


async def measure(environ: dict[str, str], signed_in: Sequence[SignedIn], rounds: int) -> Sequence[Layer]:
    """Measure all layers within the process in turns, and return the median of each."""
    settings = load_settings({name: value for name, value in environ.items() if name.startswith("SMP_")})
    async with AsyncExitStack() as stack:
        asked = await _layers(settings, signed_in[0], stack)
        times: dict[str, list[float]] = {name: [] for name in asked}
        for ask in asked.values():
            await _cpu_us(ask, signed_in)
        for _ in range(max(rounds, 3)):
            for name, ask in asked.items():
                times[name].append(await _cpu_us(ask, signed_in))
    return [Layer(name, middle(values)) for name, values in times.items()]


async def _layers(settings: Settings, example: SignedIn, stack: AsyncExitStack) -> dict[str, Ask]:
    pool = await create_pool(settings.database_url or "")
    stack.push_async_callback(pool.close)
    tokens, sessions, access = SecretsTokenGenerator(), PostgresSessionReader(pool), PostgresAccessReader(pool)
    # In the service the application closes the container; here the block does.
    container = build_container(settings, HttpProvider())
    stack.push_async_callback(container.close)
    endpoint = await container.get(AccessEndpoint)
    authenticate, check = (
        await container.get(Handler[Authenticate, Caller]),
        await container.get(Handler[CheckAccess, AccessDecision]),
    )

    async def source() -> AccessEndpoint:
        return endpoint

    async def readers(one: SignedIn) -> None:
        await sessions.find(one.user_id, tokens.digest(one.token))
        await access.entitlement(one.user_id)

    async def use_cases(one: SignedIn) -> None:
        caller = await authenticate(Authenticate(session_token=one.token), ANONYMOUS)
        await check(CheckAccess(one.user_id, FEATURE), caller)

    return {
        "asyncpg: two prepared statements on one of ten connections": await _driver(settings, example, stack),
        "the pool, and conversion of rows to values": readers,
        "the use cases: authentication, access decision": use_cases,
        "the access application: path, cookie, JSON": _asgi(AccessApp(source)),
        "the middlewares: request id, headers, metrics, log": _asgi(build_app(settings, container)),
    }


async def _driver(settings: Settings, example: SignedIn, stack: AsyncExitStack) -> Ask:
    """Return a check that sends the readers' statements on connections of the driver."""
    first, second = await _statements(settings, example)
    url = driver_url(settings.database_url or "")
    connections: asyncio.Queue[asyncpg.Connection[Any]] = asyncio.Queue()
    for _ in range(settings.database_pool_size):
        connection = await asyncpg.connect(url)
        stack.push_async_callback(connection.close)
        await set_codecs(connection)
        connections.put_nowait(connection)
    tokens = SecretsTokenGenerator()

    async def ask(one: SignedIn) -> None:
        connection = await connections.get()
        try:
            await connection.fetchrow(first.sql, one.user_id, tokens.digest(one.token))
            await connection.fetchrow(second.sql, one.user_id)
        finally:
            connections.put_nowait(connection)

    return ask


async def _statements(settings: Settings, example: SignedIn) -> Sequence[Sent]:
    journal = Journal()

    class Recorded(Provider):
        scope = Scope.APP

        @provide(override=True)
        async def pool(self, settings: Settings) -> PostgresPool:
            return RecordingPool(await create_pool(settings.database_url or ""), journal)

    container = build_container(settings, Recorded())
    try:
        await (await container.get(Handler[Authenticate, Caller]))(Authenticate(session_token=example.token), ANONYMOUS)
        await (await container.get(Handler[CheckAccess, AccessDecision]))(
            CheckAccess(example.user_id, FEATURE), OPERATOR
        )
    finally:
        await (await container.get(PostgresPool)).close()
        await container.close()
    return journal.take()


def _asgi(app: Callable[..., Awaitable[None]]) -> Ask:
    """Return a check that calls the application as a server does."""

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message.get("status", 200) != 200:  # noqa: PLR2004 - success
            raise AssertionError(message)

    async def ask(one: SignedIn) -> None:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": f"/v1/me/access/{FEATURE}",
            "raw_path": f"/v1/me/access/{FEATURE}".encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [*_HEADERS, (b"cookie", one.cookie.encode())],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        await app(scope, receive, send)

    return ask


async def _cpu_us(ask: Ask, signed_in: Sequence[SignedIn]) -> float:
    """Return the processor time of this process for one check, in microseconds."""
    users = cycle(signed_in)
    left = _CALLS

    async def asker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await ask(next(users))

    started = process_time()
    async with asyncio.TaskGroup() as askers:
        for _ in range(AT_ONCE):
            askers.create_task(asker())
    return (process_time() - started) / _CALLS * 1e6
