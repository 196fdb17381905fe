"""The port that deletes rows whose retention time is over."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from smp.application.jobs.outcome import JobOutcome
from smp.domain.user.session import SessionPolicy


@dataclass(frozen=True, slots=True)
class PurgedRows(JobOutcome):
    """The number of deleted rows of each kind."""

    idempotency_keys: int = 0
    sessions: int = 0
    login_attempts: int = 0

    @property
    def counts(self) -> Mapping[str, int]:
        """The number of deleted rows by kind."""
        return {
            "idempotency_keys": self.idempotency_keys,
            "sessions": self.sessions,
            "login_attempts": self.login_attempts,
        }

    @property
    def total(self) -> int:
        """The number of all deleted rows."""
        return sum(self.counts.values())

    def __add__(self, other: PurgedRows) -> PurgedRows:
        return PurgedRows(
            self.idempotency_keys + other.idempotency_keys,
            self.sessions + other.sessions,
            self.login_attempts + other.login_attempts,
        )


class RetentionCleanup(Protocol):
    """Deletes idempotency keys after a day, sessions that are over, and counts of login attempts that have expired."""

    @abstractmethod
    async def purge_expired(self, now: datetime, real_now: datetime, sessions: SessionPolicy, limit: int) -> PurgedRows:
        """Delete up to ``limit`` rows of each kind, except those that another transaction has locked.

        ``now`` is the platform's time; ``real_now`` is the time by which attempts to sign in are counted.
        """
