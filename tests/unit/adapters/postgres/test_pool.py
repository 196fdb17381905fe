"""The reuse of a pool's connections."""

from __future__ import annotations

import asyncio

from smp.adapters.postgres.pool import PoolSettings
from smp.adapters.postgres.statements import sql
from tests.support.fake_connections import FakeServer

QUERY = sql("SELECT 1")


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
