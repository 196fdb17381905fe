"""The repository port for the test clock."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol


class ClockRepository(Protocol):
    """The test clock inside one transaction: the one instant that it was set to."""

    @abstractmethod
    async def get_for_update(self) -> datetime | None:
        """Lock the clock until the transaction ends, and return its instant in UTC, or ``None`` if it was never set."""

    @abstractmethod
    async def set(self, now: datetime, before: datetime | None) -> None:
        """Set the clock to ``now``, in UTC; ``before`` is the instant that :meth:`get_for_update` returned.

        Raises:
            TransactionConflict: if another transaction has set the clock since.
        """
