"""Migrations while others use the database: a transaction for each revision, short locks, and steps outside of them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from smp.adapters.postgres import migration_lock, migrator
from smp.adapters.postgres.migrations_path import migrations_path
from smp.adapters.postgres.migrator import current, head, migrate, sql
from smp.adapters.postgres.pool import create_pool
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.application.errors import StorageUnavailable, TransactionConflict

AddRevision = Callable[[str, str], None]

REVISION: Final = '''
"""A revision of the tests."""

from alembic import op

from smp.adapters.postgres.online_ddl import *

revision = "{number}"
down_revision = "{before}"


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    """Nothing to do."""
'''
INDEX: Final = 'create_index_concurrently("test_idx", "ON users (created_at)")'
SLEEP: Final = 'op.execute("SELECT pg_sleep(60)")'
SLEEP_OUTSIDE_OF_A_TRANSACTION: Final = f"""with op.get_context().autocommit_block():
        {SLEEP}"""
WAITING: Final = """
    FROM pg_stat_activity JOIN pg_stat_progress_create_index USING (pid)
    WHERE query_start < clock_timestamp() - interval '100 ms' AND wait_event_type = 'Lock'
"""
FIVE_USERS: Final = """
    INSERT INTO users (id, email, email_key, password_hash, role, disabled, created_at)
    SELECT gen_random_uuid(), n || '@example.com', n || '@example.com', 'a hash', 'user', false, '2026-01-01Z'
    FROM generate_series(1, 5) AS n
"""


@pytest.fixture
def add_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AddRevision:
    """Add a revision after the newest one."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrations_path(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrator, "migrations_path", lambda: folder)
    added = [head()]

    def add(number: str, upgrade: str) -> None:
        text = REVISION.format(number=number, before=added[-1], upgrade=upgrade)
        (folder / "versions" / f"{number}_test.py").write_text(text, encoding="utf-8")
        added.append(number)

    return add


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection of another program to the migrated database."""
    connection = await asyncpg.connect(database_url)
    yield connection
    connection.terminate()


async def revision_of(url: str) -> str | None:
    pool = await create_pool(url, PoolSettings(size=1))
    try:
        return await current(pool)
    finally:
        await pool.close()


async def is_valid(connection: asyncpg.Connection[Any]) -> bool | None:
    valid: bool | None = await connection.fetchval(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('test_idx')"
    )
    return valid


async def wait_until(connection: asyncpg.Connection[Any], condition: str) -> None:
    async with asyncio.timeout(60):
        while not await connection.fetchval(f"SELECT {condition}"):
            await asyncio.sleep(0.01)


async def test_each_revision_is_a_transaction_so_a_later_failure_keeps_the_earlier_ones(
    database_url: str, connection: asyncpg.Connection[Any], add_revision: AddRevision
) -> None:
    add_revision("9001", 'op.execute("CREATE TABLE first (a text)")')
    add_revision("9002", 'op.execute("CREATE TABLE second (a text)"); op.execute("SELECT 1 / 0")')
    applied: list[str] = []
    with pytest.raises(Exception, match="division by zero"):
        await migrate(database_url, applied.append)
    assert applied == ["9001"]
    assert await revision_of(database_url) == "9001"
    assert await connection.fetchval("SELECT to_regclass('first') IS NOT NULL AND to_regclass('second') IS NULL")


async def test_an_index_is_created_concurrently_while_others_write_and_other_migrations_wait(
    database_url: str, connection: asyncpg.Connection[Any], add_revision: AddRevision
) -> None:
    """Also if the role's limit for locks is shorter than the wait for an open transaction."""
    add_revision("9001", INDEX)
    name = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(f"ALTER DATABASE {name} SET lock_timeout = '20ms'")
    other = await asyncpg.connect(database_url)
    try:
        await other.execute("BEGIN; " + FIVE_USERS)
        migrations = asyncio.gather(migrate(database_url), migrate(database_url))
        await wait_until(connection, f"count(*) > 0 {WAITING}")
        await connection.execute("INSERT INTO login_throttle VALUES ('account:' || repeat('0', 64), 1, now(), NULL)")
        await connection.execute("UPDATE users SET disabled = true")
        await other.execute("COMMIT")
        await migrations
    finally:
        await other.close()
    assert await is_valid(connection)


async def test_an_index_that_an_interrupted_migration_left_invalid_is_created_again(
    database_url: str, connection: asyncpg.Connection[Any], add_revision: AddRevision
) -> None:
    add_revision("9001", 'create_index_concurrently("test_idx", "ON users (role)", unique=True)')
    await connection.execute(FIVE_USERS)
    with pytest.raises(Exception, match="could not create unique index"):
        await migrate(database_url)
    assert await is_valid(connection) is False
    assert await revision_of(database_url) == head()
    await connection.execute("DELETE FROM users")
    await migrate(database_url)
    assert await is_valid(connection)
    assert await revision_of(database_url) == "9001"


async def test_a_backfill_commits_each_batch_and_goes_on_after_a_failure(
    database_url: str, connection: asyncpg.Connection[Any], add_revision: AddRevision
) -> None:
    batch = (
        "UPDATE users SET disabled = {} WHERE id IN (SELECT id FROM users WHERE NOT disabled ORDER BY email LIMIT 2)"
    )
    fails_at_5 = batch.format("1 / (email <> '5@example.com')::int = 1")
    add_revision("9001", f'backfill("""{fails_at_5}""")')
    await connection.execute(FIVE_USERS)
    with pytest.raises(Exception, match="division by zero"):
        await migrate(database_url)
    assert await connection.fetchval("SELECT count(*) FROM users WHERE disabled") == 4
    await connection.execute("UPDATE users SET email = '6@example.com' WHERE email = '5@example.com'")
    await migrate(database_url)
    assert await connection.fetchval("SELECT count(DISTINCT xmin::text) FROM users WHERE disabled") == 3
    assert await revision_of(database_url) == "9001"


async def test_a_constraint_is_validated_without_blocking_those_who_write(
    database_url: str, connection: asyncpg.Connection[Any], add_revision: AddRevision
) -> None:
    add_revision("9001", "op.execute(\"ALTER TABLE users ADD CONSTRAINT test_c CHECK (email <> '') NOT VALID\")")
    add_revision("9002", 'validate_constraint("users", "test_c")')
    await migrate(database_url, to="9001")
    await connection.execute("BEGIN; " + FIVE_USERS)
    await migrate(database_url)
    await connection.execute("COMMIT")
    assert await connection.fetchval("SELECT convalidated FROM pg_constraint WHERE conname = 'test_c'")


async def test_a_migration_that_does_not_get_a_lock_lets_others_pass_and_tries_again(
    database_url: str, connection: asyncpg.Connection[Any], add_revision: AddRevision, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_revision("9001", 'op.execute("CREATE TABLE first (a text)")')
    add_revision("9002", 'op.execute("ALTER TABLE users ADD COLUMN a text")')
    monkeypatch.setitem(migrator._LIMITS, "lock_timeout", "20ms")
    pauses = 0

    async def pause() -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 3:
            await connection.execute("COMMIT")

    monkeypatch.setattr(migrator, "_pause", pause)
    await connection.execute("BEGIN; SELECT count(*) FROM users")
    applied: list[str] = []
    await migrate(database_url, applied.append)
    assert applied == ["9001", "9002"]
    assert pauses == 3
    assert await revision_of(database_url) == "9002"


async def test_a_migration_gives_up_if_a_table_stays_locked(
    database_url: str, connection: asyncpg.Connection[Any], add_revision: AddRevision, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_revision("9001", 'op.execute("ALTER TABLE users ADD COLUMN a text")')
    monkeypatch.setitem(migrator._LIMITS, "lock_timeout", "20ms")
    monkeypatch.setattr(migrator, "_PAUSE_S", 0)
    await connection.execute("BEGIN; SELECT count(*) FROM users")
    with pytest.raises(TransactionConflict):
        await migrate(database_url)
    assert await revision_of(database_url) == head()


async def test_the_wait_for_another_migration_outlasts_the_limits_of_the_role_and_holds_back_no_vacuum(
    database_url: str, connection: asyncpg.Connection[Any], add_revision: AddRevision
) -> None:
    add_revision("9001", 'op.execute("SELECT pg_advisory_xact_lock(7)")')
    await connection.execute("SELECT pg_advisory_lock(7)")
    name = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '3s'")
    holder = """
        FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE '%transaction_timeout%'
        AND datname = current_database() AND state_change < clock_timestamp() - interval '4 s'
    """
    migration = asyncio.ensure_future(migrate(database_url))
    await wait_until(connection, f"count(*) = 1 {holder}")
    assert await connection.fetchval(f"SELECT backend_xmin IS NULL AND backend_xid IS NULL {holder}")
    await connection.execute("SELECT pg_advisory_unlock(7)")
    await migration
    assert await revision_of(database_url) == "9001"


@pytest.mark.parametrize("step", [SLEEP, SLEEP_OUTSIDE_OF_A_TRANSACTION], ids=["inside", "outside"])
async def test_a_migration_that_loses_its_connection_says_that_the_database_does_not_answer(
    database_url: str, add_revision: AddRevision, connection: asyncpg.Connection[Any], step: str
) -> None:
    add_revision("9001", step)
    migration = asyncio.ensure_future(migrate(database_url))
    await wait_until(connection, "count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    with pytest.raises(StorageUnavailable):
        await migration


@pytest.mark.parametrize("step", [SLEEP, SLEEP_OUTSIDE_OF_A_TRANSACTION], ids=["inside", "outside"])
async def test_a_migration_can_be_interrupted_and_the_lock_is_free_at_once(
    database_url: str,
    add_revision: AddRevision,
    monkeypatch: pytest.MonkeyPatch,
    connection: asyncpg.Connection[Any],
    step: str,
) -> None:
    add_revision("9001", step)
    monkeypatch.setattr(migration_lock, "_WAIT_FOR_OTHERS_S", 5.0)
    migration = asyncio.ensure_future(migrate(database_url))
    await wait_until(connection, "count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    migration.cancel()
    with pytest.raises(asyncio.CancelledError):
        await migration
    await migrate(database_url, to=head())
    assert await revision_of(database_url) == head()


async def test_printed_sql_runs_concurrent_steps_outside_of_transactions(
    unmigrated_database_url: str, add_revision: AddRevision
) -> None:
    add_revision("9001", INDEX)
    add_revision("9002", 'backfill("UPDATE users SET disabled = true WHERE NOT disabled")')
    printed = sql()
    before, _, after = printed.partition("CREATE INDEX CONCURRENTLY test_idx ON users (created_at);")
    assert before.count("BEGIN;") == before.count("\nCOMMIT;")  # the one of a backfill is indented
    assert "BEGIN;\n\nSET LOCAL lock_timeout = '2s';\n\nSET LOCAL statement_timeout = '15min';" in before
    assert "'9002'" in after
    connection = await asyncpg.connect(unmigrated_database_url)
    try:
        for statement in filter(None, map(str.strip, printed.split(";\n\n"))):
            await connection.execute(statement)
    finally:
        await connection.close()
    assert await revision_of(unmigrated_database_url) == "9002"
