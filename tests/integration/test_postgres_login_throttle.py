"""The throttle's SQL counts as the rule says, attempt by attempt."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import pytest

from smp.adapters.postgres.login_throttle import LIMITS, PostgresLoginThrottle
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.application.attempt_limits import AttemptLimit, Attempts
from smp.application.errors import TooManyAttempts
from tests.support.builders import NOW, TICK

KEPT: Final = sql(
    "SELECT attempts, last_attempt_at, blocked_until FROM login_throttle WHERE starts_with(key, CAST(:kind AS text))"
)


@pytest.mark.parametrize("kind", ["account", "source"])
async def test_every_attempt_is_counted_by_the_rule(pool: PostgresPool, kind: str) -> None:
    """Through the free ones, each doubling of the wait up to the longest, and the quiet that makes it forget."""
    throttle, limit = PostgresLoginThrottle(pool), LIMITS[kind]
    expected: Attempts | None = None
    now, longest = NOW, timedelta()
    for number in range(limit.burst + 9):
        # The other one is new each time, so that it is never in the way.
        account, source = ("ann", f"source {number}") if kind == "account" else (f"account {number}", "here")
        if expected is not None and expected.blocked_until is not None:
            with pytest.raises(TooManyAttempts) as refused:
                await throttle.attempt(account, source, expected.blocked_until - TICK)
            assert refused.value.retry_after_s == 1
            now = expected.blocked_until
        await throttle.attempt(account, source, now)
        expected = limit.counted(expected, now)
        assert expected in await rows_of(pool, kind)
        longest = max(longest, (expected.blocked_until or now) - now)
    assert longest == limit.longest_wait
    await throttle.attempt("ann", "here", later(now, limit))
    assert limit.counted(expected, later(now, limit)) in await rows_of(pool, kind)


async def rows_of(pool: PostgresPool, kind: str) -> list[Attempts]:
    return [Attempts(*row) for row in await pool.rows(KEPT, kind=kind)]


def later(now: datetime, limit: AttemptLimit) -> datetime:
    """When the quiet has been long enough, and no wait is left."""
    return now + max(limit.expires_after, limit.longest_wait + timedelta(seconds=1))


async def test_what_is_kept_tells_nothing(pool: PostgresPool) -> None:
    """Neither the account nor the source can be read from the table."""
    await PostgresLoginThrottle(pool).attempt("ann@example.com", "192.0.2.1", NOW)
    keys = [row["key"] for row in await pool.rows(sql("SELECT key FROM login_throttle ORDER BY key"))]
    assert [key.partition(":")[0] for key in keys] == ["account", "source"]
    assert all(len(key.partition(":")[2]) == 64 for key in keys)
    assert "ann" not in "".join(keys)
