"""Set the test clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from smp.application.caller import Caller
from smp.application.expiry import ExpiryRun
from smp.application.ports.clock import SettableClock
from smp.domain.errors import ValidationError

LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""The limit of the test clock. It leaves room for later dates, such as ends of sessions, before the year 9999."""


@dataclass(frozen=True, slots=True)
class SetTestClock:
    """The command to set the test clock to ``now``; with ``sweep`` the expiry job runs before the answer."""

    now: datetime
    sweep: bool = True


@dataclass(frozen=True, slots=True)
class SetTestClockHandler:
    """The handler of :class:`SetTestClock`. The clock moves forward only, for every process of the platform."""

    clock: SettableClock
    expiry: ExpiryRun

    async def __call__(self, command: SetTestClock, caller: Caller) -> datetime:
        """Set the clock, and return the instant that it shows then.

        Raises:
            ValidationError: at ``/now``, if it is not before :data:`LATEST`.
            ClockCannotGoBack: if the clock shows a later instant.
        """
        if command.now >= LATEST:
            raise ValidationError("/now", f"must be before {LATEST:%Y-%m-%d}")
        await self.clock.set(command.now)
        if command.sweep:
            await self.expiry.run()
        return command.now
