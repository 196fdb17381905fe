"""Move the clock of a test platform."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from smp.application.caller import Caller
from smp.application.expiry import ExpiryRun
from smp.application.ports.clock import SettableClock
from smp.domain.errors import ValidationError

LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""The clock stands before it, so that what is counted from now on (sessions, waits, forecasts) has an instant too."""


@dataclass(frozen=True, slots=True)
class SetTestClock:
    """Stand at ``now``; with ``sweep`` what fell due is processed before the answer."""

    now: datetime
    sweep: bool = True


@dataclass(frozen=True, slots=True)
class SetTestClockHandler:
    """For every process of the platform; forward only."""

    clock: SettableClock
    expiry: ExpiryRun

    async def __call__(self, command: SetTestClock, caller: Caller) -> datetime:
        """The instant at which the clock now stands.

        Raises:
            ValidationError: at ``/now`` where it is too late for a calendar that ends with the year 9999.
            ClockCannotGoBack: where the clock is already later.
        """
        if command.now >= LATEST:
            raise ValidationError("/now", f"must be before {LATEST:%Y-%m-%d}")
        await self.clock.set(command.now)
        if command.sweep:
            await self.expiry.run()
        return command.now
