"""The real clock."""

from __future__ import annotations

from datetime import UTC, datetime

from smp.application.ports.clock import Clock


class SystemClock(Clock):
    """Tells the machine's time; that machines agree is left to NTP."""

    async def now(self) -> datetime:
        """The present instant, aware and in UTC, to the microsecond."""
        return datetime.now(UTC)
