"""The port that checks the invariants of the data."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from smp.application.queries.views import CheckResult


class IntegrityChecker(Protocol):
    """The checks of the invariants of the data. They change nothing."""

    @abstractmethod
    async def check(self, now: datetime) -> Sequence[CheckResult]:
        """Return one result for each invariant."""
