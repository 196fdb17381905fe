"""Add up the changes of the counts behind the statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.jobs.outcome import JobOutcome
from smp.application.ports.count_folder import CountFolder


@dataclass(frozen=True, slots=True)
class FoldCounts:
    """One run over all changes of the counts."""


@dataclass(frozen=True, slots=True)
class FoldedCounts(JobOutcome):
    """How many rows with changes were replaced by sums."""

    changes: int = 0

    @property
    def counts(self) -> Mapping[str, int]:
        """The number of these rows."""
        return {"changes": self.changes}


@dataclass(frozen=True, slots=True)
class FoldCountsHandler:
    """Any number of runs may work at the same time."""

    folder: CountFolder

    async def __call__(self, command: FoldCounts, caller: Caller) -> FoldedCounts:
        """Return how many changes were added up. Raises StorageUnavailable."""
        changes = 0
        while folded := await self.folder.fold():
            changes += folded
        return FoldedCounts(changes)
