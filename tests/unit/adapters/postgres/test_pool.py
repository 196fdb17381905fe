"""The reuse of a pool's connections."""

from __future__ import annotations

import asyncio

import pytest

from smp.adapters.postgres.pool_settings import PoolSettings
from smp.adapters.postgres.statements import sql
from smp.application.errors import StorageBusy, StorageUnavailable
from tests.support.fake_connections import FakeServer

QUERY = sql("SELECT 1")
URGENT = sql("SELECT 1", is_urgent=True)


async def test_a_recently_used_connection_is_used_again() -> None:
    server = FakeServer()
    pool = server.pool(PoolSettings())
    for _ in range(3):
        await pool.row(QUERY)
    assert len(server.opened) == 1
    await pool.close()


async def test_a_connection_that_was_unused_for_too_long_is_closed_and_replaced() -> None:
    server = FakeServer()
    pool = server.pool(PoolSettings(idle_lifetime_s=0.05))
    await pool.row(QUERY)
    await asyncio.sleep(0.06)
    await pool.row(QUERY)
    await pool.close()
    assert len(server.opened) == 2
    assert all(connection.is_closed() for connection in server.opened)


@pytest.mark.parametrize(
    "limits", [{"lock_timeout_s": 2.0}, {"command_timeout_s": 5.0}, {"lock_timeout_s": 0.0}, {"statement_timeout_s": 1}]
)
def test_a_pool_refuses_time_limits_under_which_a_lock_looks_like_a_database_that_is_away(
    limits: dict[str, float],
) -> None:
    with pytest.raises(ValueError, match="in this order: lock, command, statement"):
        PoolSettings(**limits)  # type: ignore[arg-type]


def test_a_pool_cannot_reserve_all_of_its_connections() -> None:
    with pytest.raises(ValueError, match="fewer connections"):
        PoolSettings(size=2, reserved=2)


async def test_only_urgent_statements_use_the_reserved_connections() -> None:
    pool = FakeServer().pool(PoolSettings(size=3, reserved=1, acquire_timeout_s=0.05))
    async with pool.connection(), pool.connection():
        with pytest.raises(StorageBusy):
            await pool.row(QUERY)
        assert await pool.row(URGENT) is not None
    async with pool.connection(is_urgent=True), pool.connection(is_urgent=True), pool.connection(is_urgent=True):
        for statement in (QUERY, URGENT):
            with pytest.raises(StorageBusy):
                await pool.row(statement)
    for statement in (QUERY, URGENT):
        assert await pool.row(statement) is not None
    await pool.close()


async def test_a_caller_that_gives_up_or_gets_no_connection_leaves_its_place_to_others() -> None:
    server = FakeServer()
    pool = server.pool(PoolSettings(size=2, reserved=1))
    async with pool.connection():
        waiting = asyncio.create_task(pool.row(QUERY))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    server.is_away = True
    assert pool.idle == 1
    async with pool.connection(is_urgent=True):
        for _ in range(3):
            with pytest.raises(StorageUnavailable):
                await pool.row(QUERY)
    server.is_away = False
    assert await pool.row(QUERY) is not None
    await pool.close()
