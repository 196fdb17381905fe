"""The throttle in PostgreSQL follows the same rule as the domain."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

import pytest

from smp.adapters.postgres.login_throttle import LIMITS, PostgresLoginThrottle
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.registration_throttle import PostgresRegistrationThrottle
from smp.adapters.postgres.statements import sql
from smp.adapters.postgres.transaction import open_transaction
from smp.application.attempt_limits import AttemptLimit, Attempts
from smp.application.errors import TooManyAttempts, TooManyRegistrations
from tests.support.builders import NOW, TICK

KEPT: Final = sql(
    "SELECT attempts, last_attempt_at, blocked_until FROM login_throttle WHERE starts_with(key, CAST(:kind AS text))"
)

BLOCK: Final = sql("UPDATE login_throttle SET blocked_until = :until WHERE starts_with(key, 'source')")


@pytest.mark.parametrize("kind", ["account", "source"])
async def test_the_waits_of_the_table_are_those_of_the_rule(pool: PostgresPool, kind: str) -> None:
    """Free attempts, then waits that double up to the longest; a quiet time resets the count."""
    throttle, limit = PostgresLoginThrottle(pool), LIMITS[kind]
    expected: Attempts | None = None
    now, longest = NOW, timedelta()
    for number in range(limit.burst + 9):
        # The other key is new each time, so that it never blocks.
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
    """Return an instant at which the count is reset and no wait is left."""
    return now + max(limit.expires_after, limit.longest_wait + timedelta(seconds=1))


async def test_the_table_has_neither_accounts_nor_sources_in_plain_text(pool: PostgresPool) -> None:
    """Only their digests are stored."""
    await PostgresLoginThrottle(pool).attempt("ann@example.com", "192.0.2.1", NOW)
    keys = [row["key"] for row in await pool.rows(sql("SELECT key FROM login_throttle ORDER BY key"))]
    assert [key.partition(":")[0] for key in keys] == ["account", "source"]
    assert all(len(key.partition(":")[2]) == 64 for key in keys)
    assert "ann" not in "".join(keys)


async def test_an_attempt_that_the_source_refuses_does_not_count_for_the_account(pool: PostgresPool) -> None:
    """Also if another attempt blocks the source between the check and the count."""
    throttle = PostgresLoginThrottle(pool)
    await throttle.attempt("bob", "here", NOW)
    async with open_transaction(pool) as other:
        await other.run(BLOCK, until=NOW + timedelta(minutes=1))
        attempt = asyncio.create_task(throttle.attempt("ann", "here", NOW))
        while len(await rows_of(pool, "account")) < 2:
            await asyncio.sleep(0.01)
        await other.commit()
    with pytest.raises(TooManyAttempts):
        await attempt
    assert len(await rows_of(pool, "account")) == 1


AGE: Final = sql("UPDATE login_throttle SET last_attempt_at = last_attempt_at - CAST(:age AS interval)")


@pytest.mark.parametrize(
    ("age", "is_allowed"),
    [
        (timedelta(minutes=14), False),
        (timedelta(minutes=15), True),
        (timedelta(days=2), True),
        (timedelta(days=-2), True),
    ],
)
async def test_a_source_may_register_again_when_its_window_is_over(
    pool: PostgresPool,
    age: timedelta,
    is_allowed: bool,  # noqa: FBT001
) -> None:
    """Also if the clock of the server was set back after the window began."""
    throttle = PostgresRegistrationThrottle(pool)
    for _ in range(30):
        await throttle.attempt("192.0.2.1")
    await pool.run(AGE, age=age)
    if not is_allowed:
        with pytest.raises(TooManyRegistrations) as refused:
            await throttle.attempt("192.0.2.1")
        assert 0 < refused.value.retry_after_s <= 60
        return
    for _ in range(30):
        await throttle.attempt("192.0.2.1")
    with pytest.raises(TooManyRegistrations):
        await throttle.attempt("192.0.2.1")
