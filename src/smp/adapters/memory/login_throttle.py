"""The login throttle in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Final

from smp.adapters.memory.store import MemoryStore, ThrottleScope
from smp.adapters.memory.transaction import Transaction
from smp.application.attempt_limits import ACCOUNT_LIMIT, SOURCE_LIMIT, AttemptLimit
from smp.application.errors import TooManyAttempts
from smp.application.ports.login_throttle import LoginThrottle

LIMITS: Final[Mapping[ThrottleScope, AttemptLimit]] = MappingProxyType(
    {ThrottleScope.ACCOUNT: ACCOUNT_LIMIT, ThrottleScope.SOURCE: SOURCE_LIMIT}
)


class MemoryLoginThrottle(LoginThrottle):
    """A login throttle that counts in a store, with one transaction for each call."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def attempt(self, account: str, source: str, now: datetime) -> None:
        """Count an attempt.

        Raises:
            TooManyAttempts: with the longer of the two waits; the attempt is not counted then.
        """
        async with self._counts(account, source) as counts:
            keys = ((ThrottleScope.ACCOUNT, account), (ThrottleScope.SOURCE, source))
            waits_s = [LIMITS[key[0]].wait_s(counts.attempts.get(key), now) for key in keys]
            if any(waits_s):
                raise TooManyAttempts(max(waits_s))
            for key in keys:
                counts.attempts.put(key, LIMITS[key[0]].counted(counts.attempts.get(key), now))

    async def succeeded(self, account: str, source: str) -> None:
        """Delete the account's count, and subtract this attempt from the source's count."""
        async with self._counts(account, source) as counts:
            counts.attempts.remove((ThrottleScope.ACCOUNT, account))
            _subtract(counts, (ThrottleScope.SOURCE, source))

    async def cancel(self, account: str, source: str) -> None:
        """Subtract this attempt from both counts."""
        async with self._counts(account, source) as counts:
            _subtract(counts, (ThrottleScope.ACCOUNT, account))
            _subtract(counts, (ThrottleScope.SOURCE, source))

    @asynccontextmanager
    async def _counts(self, account: str, source: str) -> AsyncIterator[Transaction]:
        """Open a transaction that locks both counts, and commit it if the block succeeds."""
        transaction = Transaction(self._store)
        try:
            await transaction.lock(ThrottleScope.ACCOUNT, account)
            await transaction.lock(ThrottleScope.SOURCE, source)
            yield transaction
            await transaction.commit()
        finally:
            transaction.end()


def _subtract(counts: Transaction, key: tuple[ThrottleScope, str]) -> None:
    stored = counts.attempts.get(key)
    if stored is None:
        return
    remaining = AttemptLimit.decremented(stored)
    if remaining is None:
        counts.attempts.remove(key)
    else:
        counts.attempts.put(key, remaining)
