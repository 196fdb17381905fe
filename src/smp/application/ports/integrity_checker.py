"""Checking the data."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from smp.application.queries.views import CheckResult


class IntegrityChecker(Protocol):
    """Checks what must always be true of the data; changes nothing."""

    @abstractmethod
    async def check(self, now: datetime) -> Sequence[CheckResult]:
        """One finding for each invariant."""
