"""The event log contains the events of the previous release, including those that it writes during a rollout."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest

from smp.adapters.postgres.migrator import migrate, undo
from smp.adapters.postgres.pool import create_pool
from smp.adapters.postgres.statements import set_codecs
from tests.support.builders import NOW
from tests.support.postgres_storage import postgres_storage

ANN, BOB, PLAN, TRIAL = (UUID(int=number) for number in (1, 2, 11, 21))

ROWS: Final = f"""
    INSERT INTO users (id, email, email_key, password_hash, role, disabled, created_at)
    VALUES ('{ANN}', 'ann@example.com', 'ann@example.com', 'a hash', 'admin', true, '2026-01-01Z');
    INSERT INTO user_emails VALUES ('ann@example.com', '{ANN}');
    WITH plan AS (
        INSERT INTO plans VALUES ('{PLAN}', 'pro', 'Pro', '', 'archived', 2, 100, 3, '2026-01-01Z')
    )
    INSERT INTO plan_revisions
    SELECT '{PLAN}', number, 100, 'USD', 'P1M', 'P14D', '{{}}', '2026-01-01Z' FROM (VALUES (1), (2)) AS r (number);
    INSERT INTO subscriptions (
        user_id, id, plan_id, revision, status, starts_at, ends_at, trial_ends_at, periods, version, created_at
    )
    VALUES ('{ANN}', '{TRIAL}', '{PLAN}', 1, 'trial', '2026-01-01Z', '2026-01-15Z', '2026-01-15Z', 0, 1, '2026-01-01Z');
    INSERT INTO subscription_spans VALUES ('{ANN}', '{TRIAL}', '[2026-01-01Z, 2026-01-15Z)');
    INSERT INTO trials VALUES ('{ANN}', '{PLAN}', '{TRIAL}', '2026-01-01Z', false);
"""  # noqa: S608 - constants
# As the previous release writes them, but for the statements around.
USER_EVENT: Final = """
    INSERT INTO events (user_id, id, subscription_id, version, type, occurred_at, actor_type, actor_id, data)
    VALUES ($1, gen_random_uuid(), NULL, NULL, 'user.registered', '2026-01-01Z', 'user', $1, '{"role": "user"}')
"""
SUBSCRIPTION_EVENTS: Final = """
    WITH saved AS (
        UPDATE subscriptions SET version = $3::bigint, status = $5::text
        WHERE user_id = $1::uuid AND id = $2::uuid AND version = $3::bigint - $6::bigint
        RETURNING user_id, id
    ), inserted_events AS (
        INSERT INTO events (user_id, id, subscription_id, version, type, occurred_at, actor_type, actor_id, data)
        SELECT e.user_id, e.id, e.subscription_id, e.version, e.type, e.occurred_at, e.actor_type, e.actor_id, e.data
        FROM saved JOIN unnest(
            ARRAY[$1::uuid], ARRAY[gen_random_uuid()], ARRAY[$2::uuid], ARRAY[$3::bigint], ARRAY[$4::text],
            ARRAY['2026-01-01Z'::timestamptz], ARRAY['user'], ARRAY[$1::uuid],
            ARRAY[jsonb_build_object('status', $5::text)]
        ) AS e (user_id, id, subscription_id, version, type, occurred_at, actor_type, actor_id, data)
        ON saved.user_id = e.user_id AND saved.id = e.subscription_id
    )
    SELECT count(*) FROM saved
"""
PLAN_EVENT: Final = """
    INSERT INTO plan_events (plan_id, id, version, type, occurred_at, actor_type, actor_id, data)
    VALUES ($1, gen_random_uuid(), $2, $3, '2026-01-01Z', 'system', NULL, $4)
"""
OLD_HISTORY: Final = """
    SELECT type, subscription_id, version FROM events
    WHERE user_id = $1 AND subscription_id = $2 AND version > 0 ORDER BY version
"""
NEW_HISTORY: Final = """
    SELECT type, user_id, subject_id, version, occurred_at = recorded_at AS at_once FROM event_log
    ORDER BY subject_id, version
"""


class OldRelease:
    """A process of the previous release, which still uses its prepared statements after the migration."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self.connection = connection

    async def register(self, user_id: UUID) -> None:
        await self.connection.execute(USER_EVENT, user_id)

    async def change_subscription(self, version: int, type_: str, status: str, *, steps: int = 1) -> None:
        values = (ANN, TRIAL, version, type_, status, steps)
        assert await self.connection.fetchval(SUBSCRIPTION_EVENTS, *values) == 1

    async def change_plan(self, version: int, type_: str, data: object) -> None:
        await self.connection.execute(PLAN_EVENT, PLAN, version, type_, data)

    async def history(self) -> list[str]:
        return [row["type"] for row in await self.connection.fetch(OLD_HISTORY, ANN, TRIAL)]


@pytest.fixture
async def old(unmigrated_database_url: str) -> AsyncIterator[OldRelease]:
    """Return the previous release on its schema, with a user, a plan and a subscription, and all their events."""
    await migrate(unmigrated_database_url, to="0001")
    connection = await asyncpg.connect(unmigrated_database_url)
    try:
        await set_codecs(connection)
        await connection.execute(ROWS)
        old = OldRelease(connection)
        await old.register(ANN)
        await old.change_subscription(1, "subscription.trial_started", "trial", steps=0)
        await old.change_plan(1, "plan.created", {"revision": 1})
        await old.change_plan(2, "plan.revised", {"revision": 2})
        await old.change_plan(3, "plan.archived", {})
        yield old
    finally:
        await connection.close()


MIGRATED: Final = [
    ("user.registered", ANN, ANN, 1, True),
    ("plan.created", None, PLAN, 1, True),
    ("plan.revised", None, PLAN, 2, True),
    ("plan.archived", None, PLAN, 3, True),
    ("subscription.trial_started", ANN, TRIAL, 1, True),
]


async def test_events_of_the_previous_release_are_in_the_log(old: OldRelease, unmigrated_database_url: str) -> None:
    await migrate(unmigrated_database_url)
    assert [tuple(row) for row in await old.connection.fetch(NEW_HISTORY)] == MIGRATED


async def test_events_written_by_the_previous_release_after_the_migration_are_in_the_log(
    old: OldRelease, unmigrated_database_url: str
) -> None:
    await old.history()
    await migrate(unmigrated_database_url)
    await old.connection.execute(
        "INSERT INTO users (id, email, email_key, password_hash, role, disabled, created_at)"
        " VALUES ($1, 'bob@example.com', 'bob@example.com', 'a hash', 'user', false, '2026-01-01Z')",
        BOB,
    )
    await old.connection.execute("INSERT INTO user_emails VALUES ('bob@example.com', $1)", BOB)
    await old.register(BOB)
    await old.change_subscription(2, "subscription.cancel_scheduled", "trial")
    await old.connection.execute("UPDATE plans SET version = 4, status = 'active'")
    await old.change_plan(4, "plan.restored", {})
    assert [tuple(row) for row in await old.connection.fetch(NEW_HISTORY)] == [
        MIGRATED[0],
        ("user.registered", BOB, BOB, 1, True),
        *MIGRATED[1:4],
        ("plan.restored", None, PLAN, 4, True),
        MIGRATED[4],
        ("subscription.cancel_scheduled", ANN, TRIAL, 2, True),
    ]
    assert await old.history() == ["subscription.trial_started", "subscription.cancel_scheduled"]


async def test_migrated_data_keep_all_invariants(old: OldRelease, unmigrated_database_url: str) -> None:
    """Also a changed role and a disabled user, for which the previous release recorded no event."""
    await old.connection.execute(
        "INSERT INTO api_keys VALUES (gen_random_uuid(), 'shop', sha256(''), '2026-01-01Z', '2026-01-02Z')"
    )
    await migrate(unmigrated_database_url)
    pool = await create_pool(unmigrated_database_url)
    try:
        findings = await postgres_storage(pool).integrity.check(NOW)
    finally:
        await pool.close()
    assert [finding for finding in findings if not finding.ok] == []


MANY_USERS: Final = """
    INSERT INTO users (id, email, email_key, password_hash, role, disabled, created_at)
    SELECT gen_random_uuid(), n || '@example.com', n || '@example.com', 'a hash', 'user', false, '2026-01-01Z'
    FROM generate_series(1, 2000) AS n;
    INSERT INTO user_emails SELECT email_key, id FROM users WHERE email_key ~ '^[0-9]';
    INSERT INTO events (user_id, id, type, occurred_at, actor_type, actor_id, data)
    SELECT id, gen_random_uuid(), 'user.registered', created_at, 'user', id, '{"role": "user"}'
    FROM users WHERE email_key ~ '^[0-9]'
"""


async def test_the_previous_release_writes_while_every_migration_runs_and_nothing_is_lost(
    old: OldRelease, unmigrated_database_url: str
) -> None:
    await old.connection.execute(MANY_USERS)
    migration = asyncio.ensure_future(migrate(unmigrated_database_url))
    types = ("subscription.cancel_scheduled", "subscription.resumed")
    version, written_after = 1, 0
    while written_after < 10:
        with suppress(asyncpg.DeadlockDetectedError, asyncpg.InvalidCachedStatementError):  # the release tries again
            await old.change_subscription(version + 1, types[version % 2 - 1], "trial")
            version += 1
            written_after += migration.done()
    await migration
    versions = await old.connection.fetch("SELECT version FROM event_log WHERE subject_id = $1 ORDER BY version", TRIAL)
    assert [row["version"] for row in versions] == list(range(1, version + 1))
    pool = await create_pool(unmigrated_database_url)
    try:
        findings = await postgres_storage(pool).integrity.check(NOW)
    finally:
        await pool.close()
    assert [finding for finding in findings if not finding.ok] == []


async def test_a_downgrade_keeps_the_events_that_the_previous_release_can_store(
    old: OldRelease, unmigrated_database_url: str
) -> None:
    await migrate(unmigrated_database_url)
    await old.change_subscription(2, "subscription.cancel_scheduled", "trial")
    await undo(unmigrated_database_url, "0001")
    assert await old.history() == ["subscription.trial_started", "subscription.cancel_scheduled"]
    assert await old.connection.fetchval("SELECT count(*) FROM plan_events") == 3
    assert await old.connection.fetchval("SELECT count(*) FROM events WHERE subscription_id IS NULL") == 1


async def test_a_migrated_event_cannot_be_changed(old: OldRelease, unmigrated_database_url: str) -> None:
    """Neither in the log nor through the views of the previous release."""
    await migrate(unmigrated_database_url)
    for change in ("UPDATE event_log SET data = '{}'", "DELETE FROM event_log", "TRUNCATE event_log"):
        with pytest.raises(asyncpg.RestrictViolationError):
            await old.connection.execute(change)
    for view in ("events", "plan_events"):
        with pytest.raises(asyncpg.PostgresError):
            await old.connection.execute(f"DELETE FROM {view}")  # noqa: S608 - constants
