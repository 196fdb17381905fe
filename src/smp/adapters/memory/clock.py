"""A clock that stands."""

from __future__ import annotations

from datetime import datetime

from smp.application.ports.clock import SettableClock
from smp.domain.errors import ClockCannotGoBack


class MemoryClock(SettableClock):
    """Stands at an instant, aware and in UTC, until it is set to a later one."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    async def now(self) -> datetime:
        """The instant at which it stands."""
        return self._now

    async def set(self, now: datetime) -> None:
        """Stand at ``now``. Raises ClockCannotGoBack."""
        if now < self._now:
            raise ClockCannotGoBack(self._now, now)
        self._now = now
