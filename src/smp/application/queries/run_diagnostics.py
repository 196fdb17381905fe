"""Check the invariants of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.ports.clock import Clock
from smp.application.ports.integrity_checker import IntegrityChecker
from smp.application.queries.views import CheckResult


@dataclass(frozen=True, slots=True)
class RunDiagnostics:
    """The query for the results of all checks of the data."""


@dataclass(frozen=True, slots=True)
class RunDiagnosticsHandler:
    """The handler of :class:`RunDiagnostics`."""

    integrity: IntegrityChecker
    clock: Clock

    async def __call__(self, query: RunDiagnostics, caller: Caller) -> Sequence[CheckResult]:
        """Return one result for each invariant."""
        return await self.integrity.check(await self.clock.now())
