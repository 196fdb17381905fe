"""The readiness of a process by the schema: during a rollout, the database is migrated while the old version serves."""

from __future__ import annotations

import asyncpg
import pytest

from smp.adapters.http.settings import UP
from smp.adapters.postgres.migrator import head
from smp.adapters.postgres.pool import PostgresPool
from smp.bootstrap.http import PostgresReadiness


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize("version", [head(), f"{head()}a", "9999"])
async def test_a_process_is_ready_on_the_schema_of_its_version_and_on_a_newer_one(
    pool: PostgresPool, database_url: str, version: str
) -> None:
    """Otherwise a migration would make all old processes unready at once."""
    await execute(database_url, f"UPDATE smp_schema_version SET version_num = '{version}'")  # noqa: S608 - ours
    assert await PostgresReadiness(pool).check() == {"database": UP, "migrations": UP}


async def test_a_process_is_not_ready_on_an_older_schema(pool: PostgresPool, database_url: str) -> None:
    """The answer says what to do; the same on a database that was never migrated."""
    await execute(database_url, "UPDATE smp_schema_version SET version_num = '0000'")
    detail = f"at 0000, needs {head()}: run smp migrate"
    assert await PostgresReadiness(pool).check() == {"database": UP, "migrations": detail}
    await execute(database_url, "DROP TABLE smp_schema_version")
    detail = f"at nothing, needs {head()}: run smp migrate"
    assert await PostgresReadiness(pool).check() == {"database": UP, "migrations": detail}
