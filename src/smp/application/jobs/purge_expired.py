"""Delete rows whose retention time is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from smp.application.caller import Caller
from smp.application.ports.clock import Clock, RealTime
from smp.application.ports.retention_cleanup import PurgedRows, RetentionCleanup
from smp.domain.user.session import SessionPolicy

BATCH_SIZE: Final = 10_000
"""The most rows of each kind that one statement deletes, so that none holds its locks for long."""


@dataclass(frozen=True, slots=True)
class PurgeExpired:
    """One run over all idempotency keys, sessions and counts of login attempts."""


@dataclass(frozen=True, slots=True)
class PurgeExpiredHandler:
    """Any number of runs may work at the same time; rows that another transaction has locked stay for the next run."""

    cleanup: RetentionCleanup
    sessions: SessionPolicy
    clock: Clock
    real_time: RealTime

    async def __call__(self, command: PurgeExpired, caller: Caller) -> PurgedRows:
        """Return how many rows were deleted. Raises ClocksDiffer or StorageUnavailable."""
        await self.clock.confirm()
        now, real_now = await self.clock.now(), await self.real_time.now()
        purged = PurgedRows()
        is_full = True
        while is_full:
            batch = await self.cleanup.purge_expired(now, real_now, self.sessions, BATCH_SIZE)
            purged += batch
            is_full = max(batch.counts.values()) >= BATCH_SIZE
        return purged
