"""Read the clock of a test platform."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smp.application.caller import Caller
from smp.application.ports.clock import SettableClock


@dataclass(frozen=True, slots=True)
class GetTestClock:
    """The platform's clock."""


@dataclass(frozen=True, slots=True)
class GetTestClockHandler:
    """It is the real clock until it is set for the first time."""

    clock: SettableClock

    async def __call__(self, query: GetTestClock, caller: Caller) -> datetime:
        """The present instant of the platform."""
        return await self.clock.now()
