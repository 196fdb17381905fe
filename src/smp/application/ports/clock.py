"""The platform's clock."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time, the same for every process of the platform."""

    @abstractmethod
    async def now(self) -> datetime:
        """The present instant, aware and in UTC."""


class SettableClock(Clock, Protocol):
    """The clock of a test platform: it is the real one until it is set, then it stands still until the next set."""

    @abstractmethod
    async def set(self, now: datetime) -> None:
        """Stand at ``now``, an aware instant in UTC.

        Raises:
            ClockCannotGoBack: where the clock is already later.
        """
