"""The limit on failed logins, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from smp.adapters.postgres.mapping import instant_if_any, instant_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.application.attempt_limits import ACCOUNT_LIMIT, SOURCE_LIMIT, AttemptLimit, Attempts
from smp.application.errors import TooManyAttempts
from smp.application.ports.login_throttle import LoginThrottle

LIMITS: Final[Mapping[str, AttemptLimit]] = MappingProxyType({"account": ACCOUNT_LIMIT, "source": SOURCE_LIMIT})
"""The limits, by the first word of a key."""

_FIND: Final = sql(
    "SELECT key, attempts, last_attempt_at, blocked_until FROM login_throttle WHERE key = ANY (CAST(:keys AS text[]))"
)
# The same as AttemptLimit.counted, as one statement, so that the row's lock is held only while it runs. It writes
# nothing if the row is blocked.
_COUNT: Final = sql(
    """
    INSERT INTO login_throttle AS kept (key, attempts, last_attempt_at) VALUES (:key, 1, :now)
    ON CONFLICT (key) DO UPDATE SET (attempts, last_attempt_at, blocked_until) = (
        SELECT n, excluded.last_attempt_at, CASE WHEN n >= CAST(:burst AS bigint) THEN
            excluded.last_attempt_at + least(
                CAST(:first_wait AS interval) * power(2, least(n - CAST(:burst AS bigint), 32)),
                CAST(:longest_wait AS interval)
            )
        END
        FROM (
            SELECT CASE WHEN excluded.last_attempt_at - kept.last_attempt_at >= CAST(:expires_after AS interval)
                   THEN 1 ELSE kept.attempts + 1 END AS n
        ) AS counted
    )
    WHERE kept.blocked_until IS NULL OR kept.blocked_until <= excluded.last_attempt_at
    """
)
# The same as AttemptLimit.taken_off. All rows are locked first, in the order of their keys: two statements that changed
# them in different orders would deadlock.
_WITHDRAW: Final = sql(
    """
    WITH locked AS MATERIALIZED (
        SELECT key, attempts, key = ANY (CAST(:expired AS text[])) OR attempts <= 1 AS is_over FROM login_throttle
        WHERE key = ANY (CAST(:expired AS text[]) || CAST(:keys AS text[])) ORDER BY key FOR UPDATE
    ), expired AS (
        DELETE FROM login_throttle AS kept USING locked WHERE kept.key = locked.key AND locked.is_over
    )
    UPDATE login_throttle AS kept SET attempts = kept.attempts - 1, blocked_until = NULL
    FROM locked WHERE kept.key = locked.key AND NOT locked.is_over
    """
)


class PostgresLoginThrottle(LoginThrottle):
    """A throttle with one row for each account and each source; each change is one statement.

    The key of a row is the SHA-256 digest of the account or the source, so that neither is stored.
    """

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def attempt(self, account: str, source: str, now: datetime) -> None:
        """Count an attempt, or raise TooManyAttempts with the longer wait of the two, and count nothing."""
        account_key, source_key = _key("account", account), _key("source", source)
        # Most attempts of a flood are refused here, without waiting for the lock of a row.
        await self._refuse_blocked([account_key, source_key], now)
        if not await self._count(account_key, now):
            await self._refuse_blocked([account_key, source_key], now)
            raise TooManyAttempts(1)  # another attempt has blocked it in the meantime
        if not await self._count(source_key, now):
            await self._pool.run(_WITHDRAW, keys=[account_key], expired=[])
            await self._refuse_blocked([account_key, source_key], now)
            raise TooManyAttempts(1)

    async def succeeded(self, account: str, source: str) -> None:
        """Reset the account, and take this attempt off the source."""
        await self._pool.run(_WITHDRAW, keys=[_key("source", source)], expired=[_key("account", account)])

    async def cancel(self, account: str, source: str) -> None:
        """Take this attempt off the account and the source."""
        await self._pool.run(_WITHDRAW, keys=[_key("account", account), _key("source", source)], expired=[])

    async def _refuse_blocked(self, keys: list[str], now: datetime) -> None:
        """Raise TooManyAttempts if one of the keys has to wait."""
        waits_s = [0]
        for row in await self._pool.rows(_FIND, keys=keys):
            known = Attempts(row["attempts"], instant_of(row["last_attempt_at"]), instant_if_any(row["blocked_until"]))
            waits_s.append(_limit(row["key"]).wait_s(known, now))
        if any(waits_s):
            raise TooManyAttempts(max(waits_s))

    async def _count(self, key: str, now: datetime) -> bool:
        """Count an attempt; return whether it is allowed."""
        limit = _limit(key)
        counted = await self._pool.run(
            _COUNT,
            key=key,
            now=now,
            burst=limit.burst,
            first_wait=limit.first_wait,
            longest_wait=limit.longest_wait,
            expires_after=limit.expires_after,
        )
        return counted == 1


def _limit(key: str) -> AttemptLimit:
    return LIMITS[key.partition(":")[0]]


def _key(word: str, value: str) -> str:
    return f"{word}:{sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()}"
