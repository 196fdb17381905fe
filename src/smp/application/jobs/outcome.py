"""The result of one run of a job."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol


class JobOutcome(Protocol):
    """The outcome of one run."""

    @property
    @abstractmethod
    def counts(self) -> Mapping[str, int]:
        """The number of processed items by what the run did with them, including kinds with 0."""
