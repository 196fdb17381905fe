"""The rule of the login throttle: how many attempts are allowed, and how long the next one has to wait.

An attempt is counted when it begins. After ``burst`` attempts, the next one has to wait for ``first_wait``. Each
further attempt doubles the wait, up to ``longest_wait``. After ``expires_after`` without an attempt, the count starts
again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final


@dataclass(frozen=True, slots=True)
class Attempts:
    """The attempts so far on one account, or from one source."""

    count: int
    last_at: datetime
    blocked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AttemptLimit:
    """The limits for attempts on one account, or from one source."""

    burst: int
    first_wait: timedelta
    longest_wait: timedelta
    expires_after: timedelta

    def wait_s(self, attempts: Attempts | None, now: datetime) -> int:
        """Return how long the next attempt has to wait, in whole seconds, rounded up; 0 means that it is allowed."""
        if attempts is None or attempts.blocked_until is None or attempts.blocked_until <= now:
            return 0
        return ceil((attempts.blocked_until - now) / timedelta(seconds=1))

    def counted(self, attempts: Attempts | None, now: datetime) -> Attempts:
        """Return the attempts with one more, which was allowed at ``now``."""
        count = 1 if attempts is None or self.is_expired(attempts, now) else attempts.count + 1
        return Attempts(count, now, now + self._wait(count) if count >= self.burst else None)

    def is_expired(self, attempts: Attempts, now: datetime) -> bool:
        """Return whether the last attempt is so long ago that the count starts again."""
        return now - attempts.last_at >= self.expires_after

    @staticmethod
    def decremented(attempts: Attempts) -> Attempts | None:
        """Return the attempts with one less, and without a wait; ``None`` if none is left."""
        return Attempts(attempts.count - 1, attempts.last_at) if attempts.count > 1 else None

    def _wait(self, count: int) -> timedelta:
        doublings = min(count - self.burst, 32)  # any wait times 2**32 is longer than the longest one
        return min(self.first_wait * (1 << doublings), self.longest_wait)


@dataclass(frozen=True, slots=True)
class WindowLimit:
    """The limit for attempts from one source in each window of time. ``last_at`` of its attempts begins the window."""

    most: int
    window: timedelta

    def wait_s(self, attempts: Attempts | None, now: datetime) -> int:
        """Return how long the next attempt has to wait, in whole seconds, rounded up; 0 means that it is allowed."""
        if attempts is None or attempts.count < self.most or self.is_expired(attempts, now):
            return 0
        return ceil((attempts.last_at + self.window - now) / timedelta(seconds=1))

    def counted(self, attempts: Attempts | None, now: datetime) -> Attempts:
        """Return the attempts of the window at ``now`` with one more, which was allowed."""
        if attempts is None or self.is_expired(attempts, now):
            return Attempts(1, now)
        return Attempts(attempts.count + 1, attempts.last_at)

    def is_expired(self, attempts: Attempts, now: datetime) -> bool:
        """Return whether the window is over. One that begins in the future is, because a clock was set back."""
        return not attempts.last_at <= now < attempts.last_at + self.window


REGISTRATION_LIMIT: Final = WindowLimit(most=30, window=timedelta(minutes=15))
"""The limit for registrations from a source, also for those that are refused because the email is taken."""

ACCOUNT_LIMIT: Final = AttemptLimit(
    burst=10, first_wait=timedelta(seconds=30), longest_wait=timedelta(hours=1), expires_after=timedelta(hours=24)
)
"""The limit for an account: ten attempts before the first wait."""

SOURCE_LIMIT: Final = AttemptLimit(
    burst=30,
    first_wait=timedelta(seconds=30),
    longest_wait=timedelta(minutes=15),
    expires_after=timedelta(minutes=15),
)
"""The limit for a source over all accounts; it is higher because many people can share one address."""
