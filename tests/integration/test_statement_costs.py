"""Statements read by an index, whatever the size of a table, and whatever the planner's statistics say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest

from smp.adapters.postgres import access_reader, plan_reader, retention_cleanup, subscription_repository
from smp.adapters.postgres.statements import Statement, set_codecs
from smp.adapters.postgres.subscription_list import FilterShape, list_statement
from smp.application.ports.subscription_reader import ListOrder
from tests.support.builders import DAY, NOW

ANN: Final = UUID(int=2**128 - 1)
ROWS: Final = """
    SET session_replication_role = replica;
    INSERT INTO users (id, email, email_key, password_hash, role, disabled, created_at)
    SELECT gen_random_uuid(), n || '@example.com', n || '@example.com', 'a hash', 'user', false, '2026-01-01Z'
    FROM generate_series(1, 20000) AS n;
    INSERT INTO sessions
    SELECT id, gen_random_uuid(), sha256(id::text::bytea), created_at, created_at, '', '' FROM users;
    INSERT INTO idempotency_keys (caller, key, fingerprint, created_at)
    SELECT 'user', n::text, ''::bytea, timestamptz '2026-01-01Z' FROM generate_series(1, 20000) AS n;
    INSERT INTO login_throttle
    SELECT 'account:' || encode(sha256(n::text::bytea), 'hex'), 1, timestamptz '2026-01-01Z'
    FROM generate_series(1, 20000) AS n;
    INSERT INTO plans VALUES (
        '00000000-0000-0000-0000-000000000000', 'old', 'Old', '', 'active', 1, 9, 1, '2026-01-01Z'
    );
    INSERT INTO subscriptions (
        user_id, id, plan_id, revision, status, starts_at, ends_at, anchor_at, periods, version, created_at
    )
    SELECT id, id, '00000000-0000-0000-0000-000000000000', 1, 'active', created_at, NULL, created_at, 1, 1, created_at
    FROM users;
    ANALYZE
"""
NEW_PLANS: Final = """
    INSERT INTO plans
    SELECT ('ffffffff-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'plan-' || n, 'Plan', '', 'active', 1, n, 1,
           '2026-01-01Z', 'USD'
    FROM generate_series(1, 10000) AS n;
    INSERT INTO plan_revisions SELECT id, 1, amount, 'USD', 'P1M', NULL, '{}', created_at FROM plans
"""
MOVE: Final = """
    WITH ann AS (UPDATE users SET id = $1 WHERE email = '1@example.com')
    UPDATE subscriptions SET user_id = $1, plan_id = 'ffffffff-0000-0000-0000-000000005000'
    WHERE user_id = (SELECT id FROM users WHERE email = '1@example.com')
"""
READ: Final = """
    SELECT coalesce(sum(seq_tup_read), 0) + coalesce(sum(idx_tup_fetch), 0) FROM pg_stat_xact_user_tables
"""
VALUES: Final[dict[str, Any]] = {
    "outdated_before": NOW + 1000 * DAY,
    "unused_since": NOW + 1000 * DAY,
    "opened_before": NOW + 1000 * DAY,
    "quiet_since": NOW + 1000 * DAY,
    "kind": "account:",
    "limit": 50,
    "user_id": ANN,
    "now": NOW,
    "statuses": ["active"],
    "after_id": UUID(int=2**128 - 1),
    "status": "active",
    "after_currency": "USD",
    "after_amount": 5000,
    "after_code": "plan-5000",
    "local": "1",
    "domain": "@example.com",
}
PURGES: Final = ("_KEYS", "_UNUSED_OF_USERS", "_TOO_OLD_OF_USERS", "_OVER_OF_ADMINS", "_ATTEMPTS")


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection to a database with some data, that uses the same plan for all values."""
    connection = await asyncpg.connect(database_url)
    try:
        await set_codecs(connection)
        await connection.execute(ROWS)
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        yield connection
    finally:
        await connection.close()


async def rows_read(connection: asyncpg.Connection[Any], statement: Statement) -> int:
    """Return how many rows of tables the statement reads."""
    transaction = connection.transaction()
    await transaction.start()
    before = await connection.fetchval(READ)
    await statement.rows(connection, **{name: VALUES[name] for name in statement.names})
    read: int = await connection.fetchval(READ) - before
    await transaction.rollback()
    return read


async def test_a_purge_reads_few_rows_for_each_that_it_deletes(connection: asyncpg.Connection[Any]) -> None:
    read = {name: await rows_read(connection, getattr(retention_cleanup, name)) for name in PURGES}
    assert {name: rows for name, rows in read.items() if rows > 5 * VALUES["limit"]} == {}


async def test_access_checks_and_lists_read_only_their_plans_however_many_were_created_since_the_last_analyze(
    connection: asyncpg.Connection[Any],
) -> None:
    await connection.execute(NEW_PLANS)
    await connection.execute(MOVE, ANN)
    shape = FilterShape(
        frozenset(), by_plan=False, by_user=False, by_email=False, by_planned_end=False, order=ListOrder.NEWEST
    )
    page = list_statement(shape)
    await connection.execute("UPDATE subscriptions SET plan_id = 'ffffffff-0000-0000-0000-000000005000'")
    assert await rows_read(connection, access_reader._ENTITLEMENT) <= 6
    assert await rows_read(connection, page) <= 10 * VALUES["limit"]


@pytest.mark.parametrize("statement", ["_LIST", "_LIST_ALL"])
@pytest.mark.parametrize("analyzed", [True, False])
async def test_a_page_of_the_price_list_reads_only_its_plans(
    connection: asyncpg.Connection[Any], statement: str, *, analyzed: bool
) -> None:
    await connection.execute(NEW_PLANS)
    if analyzed:
        await connection.execute("ANALYZE")
    assert await rows_read(connection, getattr(plan_reader, statement)) <= 2 * VALUES["limit"]


async def test_the_trials_of_a_person_are_found_by_the_emails(connection: asyncpg.Connection[Any]) -> None:
    await connection.execute("INSERT INTO trials SELECT user_id, plan_id, id, starts_at, false FROM subscriptions")
    assert await rows_read(connection, subscription_repository._TRIED_BY_PERSON) <= 10
    await connection.execute("ANALYZE")
    assert await rows_read(connection, subscription_repository._TRIED_BY_PERSON) <= 10
