"""The clock of a test platform: one row, the same for every process."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from smp.adapters.postgres.mapping import instant_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.application.ports.clock import Clock, SettableClock
from smp.domain.errors import ClockCannotGoBack

_NOW: Final = sql("SELECT now FROM test_clock")
_SET: Final = sql(
    """
    INSERT INTO test_clock AS kept (only_row, now) VALUES (true, :now)
    ON CONFLICT (only_row) DO UPDATE SET now = excluded.now WHERE kept.now <= excluded.now
    """
)


class PostgresTestClock(SettableClock):
    """A clock that stands at the instant that was set last; until then it is the real clock."""

    def __init__(self, pool: PostgresPool, real: Clock) -> None:
        self._pool = pool
        self._real = real

    async def now(self) -> datetime:
        """Return the present instant. Raises StorageUnavailable."""
        row = await self._pool.row(_NOW)
        return await self._real.now() if row is None else instant_of(row["now"])

    async def set(self, now: datetime) -> None:
        """Set the clock to ``now``. Raises ClockCannotGoBack if the present instant is later."""
        present = await self.now()
        if now < present:
            raise ClockCannotGoBack(present, now)
        # Another process may have set the clock since, so the statement checks it again.
        if await self._pool.run(_SET, now=now) != 1:
            raise ClockCannotGoBack(await self.now(), now)
