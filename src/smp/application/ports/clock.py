"""The platform's clock."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """A clock that all processes of the platform share."""

    @abstractmethod
    async def now(self) -> datetime:
        """Return the present instant, timezone-aware and in UTC."""


class SettableClock(Clock, Protocol):
    """The test clock: it follows the real time until it is set, and then shows one instant until it is set again."""

    @abstractmethod
    async def set(self, now: datetime) -> None:
        """Set the clock to ``now``, a timezone-aware instant in UTC.

        Raises:
            ClockCannotGoBack: if the clock shows a later instant.
        """
