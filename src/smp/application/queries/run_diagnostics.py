"""Is everything that must be true of the data true?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.ports.clock import Clock
from smp.application.ports.integrity_checker import IntegrityChecker
from smp.application.queries.views import CheckResult


@dataclass(frozen=True, slots=True)
class RunDiagnostics:
    """Check every invariant of the data."""


@dataclass(frozen=True, slots=True)
class RunDiagnosticsHandler:
    """Reads only."""

    integrity: IntegrityChecker
    clock: Clock

    async def __call__(self, query: RunDiagnostics, caller: Caller) -> Sequence[CheckResult]:
        """One finding for each invariant."""
        return await self.integrity.check(await self.clock.now())
