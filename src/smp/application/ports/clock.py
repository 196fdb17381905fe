"""The platform's clock."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The one clock of all processes of the platform: the database's, or the test clock that is kept there."""

    @abstractmethod
    async def now(self) -> datetime:
        """Return the present instant, timezone-aware and in UTC."""

    @abstractmethod
    async def confirm(self) -> None:
        """Confirm that the clock can be trusted; jobs that end things for good ask this first.

        Raises:
            ClocksDiffer: if the clocks of the database and of this machine differ too much.
        """


class RealTime(Protocol):
    """The real time, also where the platform's clock is a test clock: for limits on attackers."""

    @abstractmethod
    async def now(self) -> datetime:
        """Return the present instant, timezone-aware and in UTC."""
