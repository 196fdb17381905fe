"""Get the time of the test clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smp.application.caller import Caller
from smp.application.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class GetTestClock:
    """The query for the time of the test clock."""


@dataclass(frozen=True, slots=True)
class GetTestClockHandler:
    """The handler of :class:`GetTestClock`. The test clock follows the real time until it is set."""

    clock: Clock

    async def __call__(self, query: GetTestClock, caller: Caller) -> datetime:
        """Return the present instant of the platform."""
        return await self.clock.now()
