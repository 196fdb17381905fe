"""The clock of a test platform: one row, the same for every process."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from smp.adapters.postgres.clock import REAL_TIME, TransactionTime
from smp.adapters.postgres.mapping import instant_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.adapters.postgres.transaction import Transaction
from smp.application.errors import TransactionConflict
from smp.application.ports.clock import Clock
from smp.application.ports.clock_repository import ClockRepository

_NOW: Final = sql("SELECT now FROM test_clock", is_urgent=True)
_GET_FOR_UPDATE: Final = sql("SELECT now FROM test_clock FOR UPDATE")
# Before the first time there is no row to lock: of two transactions that set the clock then, the later one has
# no ``before`` that matches the row of the other.
_SET: Final = sql(
    """
    INSERT INTO test_clock AS kept (only_row, now) VALUES (true, :now)
    ON CONFLICT (only_row) DO UPDATE SET now = excluded.now WHERE kept.now = CAST(:before AS timestamptz)
    """
)


class TestTransactionTime(TransactionTime):
    """The time of a test platform: the instant that was set last; until then the real time."""

    def __init__(self, real: TransactionTime = REAL_TIME) -> None:
        self._real = real

    async def now_in(self, transaction: Transaction) -> datetime:
        """Return the present instant by the database."""
        row = await transaction.row(_NOW)
        return await self._real.now_in(transaction) if row is None else instant_of(row["now"])


class PostgresTestClock(Clock):
    """A clock that stands at the instant that was set last; until then it is the real clock."""

    def __init__(self, pool: PostgresPool, real: Clock) -> None:
        self._pool = pool
        self._real = real

    async def now(self) -> datetime:
        """Return the present instant. Raises StorageUnavailable."""
        row = await self._pool.row(_NOW)
        return await self._real.now() if row is None else instant_of(row["now"])

    async def confirm(self) -> None:
        """Confirm the real clock, while it is the one that counts. Raises ClocksDiffer or StorageUnavailable."""
        if await self._pool.row(_NOW) is None:
            await self._real.confirm()


class PostgresClockRepository(ClockRepository):
    """The test clock inside one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get_for_update(self) -> datetime | None:
        """Lock the clock until the transaction ends, and return its instant, or ``None`` if it was never set."""
        row = await self._transaction.row(_GET_FOR_UPDATE)
        return None if row is None else instant_of(row["now"])

    async def set(self, now: datetime, before: datetime | None) -> None:
        """Set the clock to ``now``. Raises TransactionConflict."""
        if await self._transaction.run(_SET, now=now, before=before) != 1:
            raise TransactionConflict
