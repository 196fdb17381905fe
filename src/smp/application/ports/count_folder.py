"""The port that adds up the changes of the counts behind the statistics."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol


class CountFolder(Protocol):
    """Adds up changes of counts, so that reading the counts costs the same however many changes there were."""

    @abstractmethod
    async def fold(self) -> int:
        """Replace a batch of changes by their sums; return how many rows fewer there are, 0 if there are few."""
