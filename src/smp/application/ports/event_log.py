"""The log of all domain events."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from smp.domain.events import DomainEvent


class EventLog(Protocol):
    """The event log inside one transaction: an event takes effect with the change it records, or not at all.

    Repositories record the events that an aggregate carries. Events of anything else are recorded here.
    """

    @abstractmethod
    async def record(self, events: Sequence[DomainEvent]) -> None:
        """Record the events.

        Raises:
            StorageIntegrityError: where an event with this id, or with this version of its subject, is there already.
        """
