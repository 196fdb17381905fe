"""Requests that wait for each other: their errors, and the requests that do not wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import httpx
from dishka import Provider, Scope

from smp.adapters.postgres.pool import create_pool
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.adapters.postgres.replica_reads import ReplicaLimits, ReplicaReads
from smp.adapters.postgres.statements import sql
from smp.application.errors import StorageBusy, TransactionConflict
from smp.domain.user.session import TOUCH_INTERVAL
from tests.support.http_platform import START, problem, serving

SIZE: Final = 3
LONG_S: Final = 60.0
WAITING: Final = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
QUICK_LOCKS: Final = PoolSettings(
    size=10,
    lock_timeout_s=0.1,
    command_timeout_s=LONG_S,
    statement_timeout_s=2 * LONG_S,
    acquire_timeout_s=LONG_S,
    connect_timeout_s=LONG_S,
)
PATIENT_LISTS: Final = PoolSettings(
    size=4, lock_timeout_s=LONG_S, command_timeout_s=2 * LONG_S, statement_timeout_s=3 * LONG_S
)
PATIENT_LOCKS: Final = PoolSettings(
    size=SIZE,
    reserved=1,
    lock_timeout_s=LONG_S,
    command_timeout_s=2 * LONG_S,
    statement_timeout_s=3 * LONG_S,
    acquire_timeout_s=LONG_S,
    connect_timeout_s=LONG_S,
)


def with_limits(limits: PoolSettings) -> Provider:
    """Return an override of the limits of the pool."""
    provider = Provider(scope=Scope.APP)
    provider.provide(lambda: limits, provides=PoolSettings, override=True)
    return provider


@asynccontextmanager
async def locked_users(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Lock every user's row for the block, which gets a connection without a transaction.

    Inside a transaction, pg_stat_activity shows what was first seen in it.
    """
    connection, observer = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM users FOR UPDATE")
            yield observer
    finally:
        await connection.close()
        await observer.close()


async def test_a_lock_that_is_not_free_in_time_is_a_conflict_and_not_an_unavailable_database(
    database_url: str,
) -> None:
    """With the default limits, the server's limit is reached before the client's."""
    pool = await create_pool(database_url)
    holder = await asyncpg.connect(database_url)
    async with holder.transaction():
        await holder.execute("LOCK TABLE plans IN ACCESS EXCLUSIVE MODE")
        waits = (pool.row(sql("SELECT count(*) FROM plans")) for _ in range(8))
        results = await asyncio.gather(*waits, return_exceptions=True)
    await holder.close()
    await pool.close()
    assert [type(result) for result in results] == [TransactionConflict] * 8


async def test_a_request_that_waits_too_long_for_a_lock_gets_a_problem_that_suggests_a_retry(database_url: str) -> None:
    async with serving(database_url, with_limits(QUICK_LOCKS)) as platform:
        await platform.offer()
        ada = await platform.registered("ada@example.com")
        async with locked_users(database_url):
            answer = await ada.post("/v1/me/subscription/activate", json={"plan": "pro"})
            assert problem(answer) == (503, "transaction-conflict")
            assert "retry-after" in answer.headers
        again = await ada.post("/v1/me/subscription/activate", json={"plan": "pro"})
        assert again.status_code == 201


async def test_access_is_answered_while_every_other_request_waits_for_a_lock(database_url: str) -> None:
    """For sessions whose use must be recorded, for services, and for the probe of the load balancer."""
    async with serving(database_url, with_limits(PATIENT_LOCKS)) as platform:
        await platform.offer()
        ada = await platform.registered("ada@example.com")
        bob = await platform.registered("bob@example.com")
        service = await platform.service()
        bob_id = (await bob.get("/v1/me")).json()["id"]
        await platform.set_clock(START + 2 * TOUCH_INTERVAL)
        async with locked_users(database_url) as observer:
            stuck = [
                asyncio.create_task(ada.post("/v1/me/subscription/activate", json={"plan": "pro"}))
                for _ in range(2 * SIZE)
            ]

            while await observer.fetchval(WAITING) < SIZE - 1:
                assert not [request.result().text for request in stuck if request.done()]
                await asyncio.sleep(0.01)
            answers: list[httpx.Response] = [
                await bob.get("/v1/me/access/export"),
                await bob.get("/v1/me/access"),
                await service.get(f"/v1/users/{bob_id}/access/export"),
                await bob.get("/health/ready"),
            ]
            assert [answer.status_code for answer in answers] == [200] * len(answers)
        statuses = sorted([(await request).status_code for request in stuck])
        assert statuses == [201, *[409] * (2 * SIZE - 1)]


async def test_lists_use_at_most_half_of_the_connections(database_url: str) -> None:
    """A list that gets none of these in time is refused, and other requests are answered."""
    pool = await create_pool(database_url, PATIENT_LISTS)
    lists = ReplicaReads(pool, limits=ReplicaLimits(wait_s=0.1))
    holder = await asyncpg.connect(database_url)
    await holder.execute("SELECT pg_advisory_lock(7)")
    tasks = [asyncio.create_task(lists.row(sql("SELECT pg_advisory_xact_lock(7)"))) for _ in range(6)]
    _, waiting = await asyncio.wait(tasks, timeout=0.5)
    assert len(waiting) == pool.in_use == pool.size // 2
    assert await pool.row(sql("SELECT 1")) is not None
    await holder.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await pool.close()
    assert [type(result) for result in results if isinstance(result, Exception)] == [StorageBusy] * 4
