"""The real clock."""

from __future__ import annotations

from datetime import UTC, datetime

from smp.application.ports.clock import Clock


class SystemClock(Clock):
    """The clock of the machine; NTP keeps the clocks of several machines together."""

    async def now(self) -> datetime:
        """The present instant, aware and in UTC, to the microsecond."""
        return datetime.now(UTC)
