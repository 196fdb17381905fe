"""Set the test clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from smp.application.caller import Caller
from smp.application.event_metadata import EventMetadataFactory
from smp.application.expiry import ExpiryRun
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.domain.errors import ClockCannotGoBack, ValidationError
from smp.domain.test_clock import clock_set

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

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator
    expiry: ExpiryRun

    async def __call__(self, command: SetTestClock, caller: Caller) -> datetime:
        """Set the clock, and return the instant that it shows then.

        Raises:
            ValidationError: at ``/now``, if it is not before :data:`LATEST`.
            ClockCannotGoBack: if the clock shows a later instant.
        """
        if command.now >= LATEST:
            raise ValidationError("/now", f"must be before {LATEST:%Y-%m-%d}")
        real = await self.clock.now()
        async with self.unit_of_work() as work:
            before = await work.test_clock.get_for_update()
            present = real if before is None else before
            if command.now < present:
                raise ClockCannotGoBack(present, command.now)
            if command.now != before:
                metadata = EventMetadataFactory(self.ids, caller.actor, present)()
                await work.test_clock.set(command.now, before)
                await work.events.record([clock_set(metadata, before, command.now)])
            await work.commit()
        if command.sweep:
            await self.expiry.run()
        return command.now
