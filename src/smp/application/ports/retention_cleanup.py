"""Forgetting what has served its time."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol

from smp.domain.user.session import SessionPolicy


class RetentionCleanup(Protocol):
    """Removes kept answers older than a day, sessions that are over and throttle counts that no longer matter."""

    @abstractmethod
    async def purge_expired(self, now: datetime, sessions: SessionPolicy, limit: int) -> int:
        """Remove up to ``limit`` rows of each kind, those that no one else is using; how many were removed."""
