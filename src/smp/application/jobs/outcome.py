"""The result of one run of a job."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol


class JobOutcome(Protocol):
    """What one run did."""

    @property
    @abstractmethod
    def counts(self) -> Mapping[str, int]:
        """The number of things that the run handled, by what it did with them; no kind is left out, not even with 0."""
