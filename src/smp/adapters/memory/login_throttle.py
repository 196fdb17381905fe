"""The brake on guessing passwords, in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Final

from smp.adapters.memory.store import Counted, MemoryStore
from smp.adapters.memory.transaction import Transaction
from smp.application.attempt_limits import ACCOUNT_LIMIT, SOURCE_LIMIT, AttemptLimit
from smp.application.errors import TooManyAttempts
from smp.application.ports.login_throttle import LoginThrottle

LIMITS: Final[Mapping[Counted, AttemptLimit]] = MappingProxyType(
    {Counted.ACCOUNT: ACCOUNT_LIMIT, Counted.SOURCE: SOURCE_LIMIT}
)


class MemoryLoginThrottle(LoginThrottle):
    """Counts in a store, each attempt in a transaction of its own."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def attempt(self, account: str, source: str, now: datetime) -> None:
        """Count an attempt. Raises TooManyAttempts, with the longer wait of the two, and counts nothing then."""
        async with self._counts(account, source) as counts:
            keys = ((Counted.ACCOUNT, account), (Counted.SOURCE, source))
            waits_s = [LIMITS[key[0]].wait_s(counts.attempts.get(key), now) for key in keys]
            if any(waits_s):
                raise TooManyAttempts(max(waits_s))
            for key in keys:
                counts.attempts.put(key, LIMITS[key[0]].counted(counts.attempts.get(key), now))

    async def succeeded(self, account: str, source: str) -> None:
        """Forget the account's failures, and take this attempt off the source."""
        async with self._counts(account, source) as counts:
            counts.attempts.remove((Counted.ACCOUNT, account))
            _take_off(counts, (Counted.SOURCE, source))

    async def cancel(self, account: str, source: str) -> None:
        """Take this attempt off both."""
        async with self._counts(account, source) as counts:
            _take_off(counts, (Counted.ACCOUNT, account))
            _take_off(counts, (Counted.SOURCE, source))

    @asynccontextmanager
    async def _counts(self, account: str, source: str) -> AsyncIterator[Transaction]:
        """A transaction that holds both counts; committed where the block ends well."""
        transaction = Transaction(self._store)
        try:
            await transaction.lock(Counted.ACCOUNT, account)
            await transaction.lock(Counted.SOURCE, source)
            yield transaction
            await transaction.commit()
        finally:
            transaction.end()


def _take_off(counts: Transaction, key: tuple[Counted, str]) -> None:
    known = counts.attempts.get(key)
    if known is None:
        return
    left = AttemptLimit.decremented(known)
    if left is None:
        counts.attempts.remove(key)
    else:
        counts.attempts.put(key, left)
