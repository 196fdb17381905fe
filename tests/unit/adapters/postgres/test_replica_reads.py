"""The use of a replica that was too far behind."""

from __future__ import annotations

import asyncio

from smp.adapters.postgres.pool_settings import PoolSettings
from smp.adapters.postgres.replica_reads import ReadSource, ReplicaLimits, ReplicaReads, ReplicaReadsObserver
from smp.adapters.postgres.statements import sql
from tests.support.fake_connections import FakeServer

LIMIT_S = 0.6


class LastSource(ReplicaReadsObserver):
    """An observer that stores the source of the last read."""

    def __init__(self) -> None:
        self.source: ReadSource | None = None

    def read(self, source: ReadSource) -> None:
        """Store the source."""
        self.source = source

    def seen(self, lag_s: float | None) -> None:
        """Do nothing."""


async def test_a_replica_that_lagged_too_far_is_used_again_below_half_of_the_limit() -> None:
    """Between half of the limit and the limit it stays unused, so that reads do not alternate between servers."""
    primary, replica, last = FakeServer(place=1), FakeServer(place=1), LastSource()
    pools = primary.pool(PoolSettings()), replica.pool(PoolSettings())
    reads = ReplicaReads(*pools, ReplicaLimits(lag_s=LIMIT_S), last)

    async def source() -> ReadSource | None:
        await reads.probe()
        await reads.row(sql("SELECT 1"))
        return last.source

    assert await source() is ReadSource.REPLICA
    primary.place = 2
    await asyncio.sleep(LIMIT_S * 1.1)
    assert await source() is ReadSource.BEHIND
    replica.place, primary.place = 2, 3
    await asyncio.sleep(LIMIT_S * 0.7)
    assert await source() is ReadSource.BEHIND
    replica.place = 3
    assert await source() is ReadSource.REPLICA
    for pool in pools:
        await pool.close()
