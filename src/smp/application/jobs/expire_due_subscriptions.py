"""Run the expiry job once."""

from __future__ import annotations

from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.expiry import ExpiryOutcome, ExpiryRun, Progress, ignore_progress


@dataclass(frozen=True, slots=True)
class ExpireDueSubscriptions:
    """The command to end all overdue subscriptions; ``progress`` is called after every batch."""

    progress: Progress = ignore_progress


@dataclass(frozen=True, slots=True)
class ExpireDueSubscriptionsHandler:
    """The handler of :class:`ExpireDueSubscriptions`. Several can run at once and share the work."""

    expiry: ExpiryRun

    async def __call__(self, command: ExpireDueSubscriptions, caller: Caller) -> ExpiryOutcome:
        """Return what was ended and what could not be. Raises StorageUnavailable."""
        return await self.expiry.run(command.progress)
