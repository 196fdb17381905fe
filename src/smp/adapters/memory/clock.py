"""A clock for tests that moves only when it is set."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from smp.adapters.memory.store import MemoryStore
from smp.adapters.memory.transaction import Transaction
from smp.application.errors import TransactionConflict
from smp.application.ports.clock import Clock
from smp.application.ports.clock_repository import ClockRepository

_ONLY_ROW: Final = True


class MemoryClock(Clock):
    """A clock that shows the instant in the store, or ``start`` until one is set; timezone-aware and in UTC."""

    def __init__(self, store: MemoryStore, start: datetime) -> None:
        self._store = store
        self._start = start

    async def now(self) -> datetime:
        """Return the instant that the clock shows."""
        return self._store.state.test_clock.get(_ONLY_ROW, self._start)

    async def confirm(self) -> None:
        """Do nothing: there is no other clock."""


class MemoryClockRepository(ClockRepository):
    """The test clock inside one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get_for_update(self) -> datetime | None:
        """Lock the clock until the transaction ends, and return its instant, or ``None`` if it was never set."""
        await self._transaction.lock("test clock")
        return self._transaction.test_clock.get(_ONLY_ROW)

    async def set(self, now: datetime, before: datetime | None) -> None:
        """Set the clock to ``now``. Raises TransactionConflict."""
        await self._transaction.lock("test clock")
        if self._transaction.test_clock.get(_ONLY_ROW) != before:
            raise TransactionConflict
        self._transaction.test_clock.put(_ONLY_ROW, now)
