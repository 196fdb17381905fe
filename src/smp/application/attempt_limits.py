"""How many login attempts are free, and how long the next one has to wait: the rule of every login throttle.

An attempt is counted when it begins. The last free one blocks for ``first_wait``; each attempt that is let through
after a block doubles the next one, up to ``longest_wait``; ``forgotten_after`` without an attempt forgets them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final


@dataclass(frozen=True, slots=True)
class Attempts:
    """What is known of the attempts on one account, or from one source."""

    count: int
    last_at: datetime
    blocked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AttemptLimit:
    """The limit for one kind of thing that is counted."""

    burst: int
    first_wait: timedelta
    longest_wait: timedelta
    expires_after: timedelta

    def wait_s(self, known: Attempts | None, now: datetime) -> int:
        """How long an attempt has to wait, in whole seconds rounded up; 0: it may come now."""
        if known is None or known.blocked_until is None or known.blocked_until <= now:
            return 0
        return ceil((known.blocked_until - now) / timedelta(seconds=1))

    def counted(self, known: Attempts | None, now: datetime) -> Attempts:
        """With one more attempt at ``now``, which was let through."""
        count = 1 if known is None or self.is_expired(known, now) else known.count + 1
        return Attempts(count, now, now + self._wait(count) if count >= self.burst else None)

    def is_expired(self, known: Attempts, now: datetime) -> bool:
        """Whether the quiet has lasted long enough at ``now``."""
        return now - known.last_at >= self.expires_after

    @staticmethod
    def decremented(known: Attempts) -> Attempts | None:
        """With one attempt less, and the block that it may have caused lifted; ``None`` where nothing is left."""
        return Attempts(known.count - 1, known.last_at) if known.count > 1 else None

    def _wait(self, count: int) -> timedelta:
        doublings = min(count - self.burst, 32)  # 2**32 times any wait is longer than the longest
        return min(self.first_wait * (1 << doublings), self.longest_wait)


ACCOUNT_LIMIT: Final = AttemptLimit(
    burst=10, first_wait=timedelta(seconds=30), longest_wait=timedelta(hours=1), expires_after=timedelta(hours=24)
)
"""For an account: at most ten wrong passwords get through before the first wait."""

SOURCE_LIMIT: Final = AttemptLimit(
    burst=100,
    first_wait=timedelta(seconds=30),
    longest_wait=timedelta(minutes=15),
    expires_after=timedelta(minutes=15),
)
"""For a source: wider, because many people may share one address."""
