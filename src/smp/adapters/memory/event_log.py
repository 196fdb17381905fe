"""The event log in memory."""

from __future__ import annotations

from collections.abc import Sequence

from smp.adapters.memory.transaction import Transaction
from smp.application.ports.event_log import EventLog
from smp.domain.events import DomainEvent


class MemoryEventLog(EventLog):
    """The event log inside one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def record(self, events: Sequence[DomainEvent]) -> None:
        """Record the events. Raises StorageIntegrityError."""
        await self._transaction.round_trip()
        with self._transaction.writing():
            self._transaction.record(events)
