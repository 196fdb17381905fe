"""The brake on guessing passwords, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from smp.adapters.postgres.mapping import instant_if_any, instant_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import Row, sql
from smp.adapters.postgres.transaction import Transaction, open_transaction
from smp.application.attempt_limits import ACCOUNT_LIMIT, SOURCE_LIMIT, AttemptLimit, Attempts
from smp.application.errors import TooManyAttempts
from smp.application.ports.login_throttle import LoginThrottle

LIMITS: Final[Mapping[str, AttemptLimit]] = MappingProxyType({"account": ACCOUNT_LIMIT, "source": SOURCE_LIMIT})
"""By the word that a key begins with."""

# Makes the rows that are missing and locks all of them, in the order in which they are given: the account's first.
_HOLD: Final = sql(
    """
    INSERT INTO login_throttle AS kept (key, attempts, last_attempt_at)
    SELECT key, 0, CAST(:now AS timestamptz) FROM unnest(CAST(:keys AS text[])) AS wanted (key)
    ON CONFLICT (key) DO UPDATE SET key = kept.key
    RETURNING key, attempts, last_attempt_at, blocked_until
    """
)
_LOOK: Final = """
    SELECT key, attempts, last_attempt_at, blocked_until FROM login_throttle
    WHERE key = ANY (CAST(:keys AS text[])) ORDER BY key
"""
_FIND: Final = sql(_LOOK)
_FIND_AND_HOLD: Final = sql(f"{_LOOK} FOR UPDATE")
_WRITE: Final = sql(
    """
    UPDATE login_throttle AS kept
    SET attempts = w.attempts, last_attempt_at = w.last_at, blocked_until = w.blocked_until
    FROM unnest(
        CAST(:keys AS text[]), CAST(:attempts AS bigint[]), CAST(:last_at AS timestamptz[]),
        CAST(:blocked_until AS timestamptz[])
    ) AS w (key, attempts, last_at, blocked_until)
    WHERE kept.key = w.key
    """
)
_FORGET: Final = sql("DELETE FROM login_throttle WHERE key = ANY (CAST(:keys AS text[]))")


class PostgresLoginThrottle(LoginThrottle):
    """Counts in rows that are locked while they are looked at, so that parallel attempts are counted one by one.

    A row's key is the SHA-256 of the account or the source: nothing that a client wrote is kept.
    """

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def attempt(self, account: str, source: str, now: datetime) -> None:
        """Count an attempt. Raises TooManyAttempts, with the longer wait of the two, and counts nothing then."""
        keys = _keys(account, source)
        # A flood of attempts is turned away here, without a lock that they would all queue for with their connections.
        _check(await self._pool.rows(_FIND, keys=keys), now)
        async with open_transaction(self._pool) as transaction:
            known = _check(await transaction.rows(_HOLD, keys=keys, now=now), now)
            await _write(transaction, {key: _limit(key).counted(known[key], now) for key in keys})
            await transaction.commit()

    async def succeeded(self, account: str, source: str) -> None:
        """Forget the account's failures, and take this attempt off the source."""
        account_key, source_key = _keys(account, source)
        async with open_transaction(self._pool) as transaction:
            await transaction.run(_FORGET, keys=[account_key])
            await _take_off(transaction, [source_key])
            await transaction.commit()

    async def withdraw(self, account: str, source: str) -> None:
        """Take this attempt off both."""
        async with open_transaction(self._pool) as transaction:
            await _take_off(transaction, _keys(account, source))
            await transaction.commit()


def _check(rows: Iterable[Row], now: datetime) -> Mapping[str, Attempts]:
    """What is known, by key. Raises TooManyAttempts, with the longest wait, where one of them has to wait."""
    known = {row["key"]: _attempts(row) for row in rows}
    wait_s = max((_limit(key).wait_s(attempts, now) for key, attempts in known.items()), default=0)
    if wait_s:
        raise TooManyAttempts(wait_s)
    return known


async def _take_off(transaction: Transaction, keys: list[str]) -> None:
    rows = await transaction.rows(_FIND_AND_HOLD, keys=keys)
    left = {row["key"]: AttemptLimit.taken_off(_attempts(row)) for row in rows}
    await _write(transaction, {key: attempts for key, attempts in left.items() if attempts is not None})
    await transaction.run(_FORGET, keys=[key for key, attempts in left.items() if attempts is None])


async def _write(transaction: Transaction, counts: Mapping[str, Attempts]) -> None:
    await transaction.run(
        _WRITE,
        keys=list(counts),
        attempts=[attempts.count for attempts in counts.values()],
        last_at=[attempts.last_at for attempts in counts.values()],
        blocked_until=[attempts.blocked_until for attempts in counts.values()],
    )


def _attempts(row: Row) -> Attempts:
    return Attempts(row["attempts"], instant_of(row["last_attempt_at"]), instant_if_any(row["blocked_until"]))


def _limit(key: str) -> AttemptLimit:
    return LIMITS[key.partition(":")[0]]


def _keys(account: str, source: str) -> list[str]:
    named = (("account", account), ("source", source))
    return [f"{word}:{sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()}" for word, value in named]
