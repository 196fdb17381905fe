"""Write the ends of the subscriptions that time has ended."""

from __future__ import annotations

from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.expiry import ExpiryOutcome, ExpiryRun, Progress, ignore_progress


@dataclass(frozen=True, slots=True)
class ExpireDueSubscriptions:
    """One run over all subscriptions that are due now; ``progress`` is called after every batch."""

    progress: Progress = ignore_progress


@dataclass(frozen=True, slots=True)
class ExpireDueSubscriptionsHandler:
    """Any number of runs may work at the same time; a run that finds nothing changes nothing."""

    expiry: ExpiryRun

    async def __call__(self, command: ExpireDueSubscriptions, caller: Caller) -> ExpiryOutcome:
        """Return what was ended and what could not be. Raises StorageUnavailable."""
        return await self.expiry.run(command.progress)
