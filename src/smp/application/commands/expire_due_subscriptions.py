"""Write the ends of the subscriptions that are due: the expiry job."""

from __future__ import annotations

from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.expiry import ExpiryRun, Progress, SweepOutcome, ignore_progress


@dataclass(frozen=True, slots=True)
class ExpireDueSubscriptions:
    """One run over everything that is due at this instant; ``progress`` is called after every batch."""

    progress: Progress = ignore_progress


@dataclass(frozen=True, slots=True)
class ExpireDueSubscriptionsHandler:
    """Safe to run many at once; a second run finds nothing to do."""

    expiry: ExpiryRun

    async def __call__(self, command: ExpireDueSubscriptions, caller: Caller) -> SweepOutcome:
        """What was ended, and what could not be. Raises StorageUnavailable where the database does not answer."""
        return await self.expiry.run(command.progress)
