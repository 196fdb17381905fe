"""A clock for tests that moves only when it is set."""

from __future__ import annotations

from datetime import datetime

from smp.application.ports.clock import SettableClock
from smp.domain.errors import ClockCannotGoBack


class MemoryClock(SettableClock):
    """A clock that shows one instant, timezone-aware and in UTC, until it is set to a later one."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    async def now(self) -> datetime:
        """Return the instant that the clock shows."""
        return self._now

    async def set(self, now: datetime) -> None:
        """Set the clock to ``now``. Raises ClockCannotGoBack."""
        if now < self._now:
            raise ClockCannotGoBack(self._now, now)
        self._now = now
