"""The readiness of a process by the schema: during a rollout, the database is migrated while the old version serves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import asyncpg
import pytest

from smp.adapters.http.settings import UP
from smp.adapters.postgres.clock import DatabaseClock
from smp.adapters.postgres.migrator import head
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.system.clock import machine_time
from smp.bootstrap.http import PostgresReadiness
from smp.bootstrap.metrics import Sampler
from tests.support.exposition import read
from tests.support.http_platform import serving


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def readiness(pool: PostgresPool, machine: Callable[[], datetime] = machine_time) -> PostgresReadiness:
    """Return the readiness of a process on a machine with this clock."""
    return PostgresReadiness(pool, DatabaseClock(pool, machine, timedelta(seconds=5)))


@pytest.mark.parametrize("version", [head(), f"{head()}a", "9999"])
async def test_a_process_is_ready_on_the_schema_of_its_version_and_on_a_newer_one(
    pool: PostgresPool, database_url: str, version: str
) -> None:
    """Otherwise a migration would make all old processes unready at once."""
    await execute(database_url, f"UPDATE smp_schema_version SET version_num = '{version}'")  # noqa: S608 - ours
    assert await readiness(pool).check() == {"database": UP, "migrations": UP, "writes": UP, "clock": UP}


async def test_a_process_is_not_ready_on_an_older_schema(pool: PostgresPool, database_url: str) -> None:
    """The answer says what to do; the same on a database that was never migrated."""
    await execute(database_url, "UPDATE smp_schema_version SET version_num = '0000'")
    detail = f"at 0000, needs {head()}: run smp migrate"
    assert await readiness(pool).check() == {"database": UP, "migrations": detail, "writes": UP, "clock": UP}
    await execute(database_url, "DROP TABLE smp_schema_version")
    detail = f"at nothing, needs {head()}: run smp migrate"
    assert await readiness(pool).check() == {"database": UP, "migrations": detail, "writes": UP, "clock": UP}


@pytest.mark.parametrize("hours", [24, -24])
async def test_a_process_whose_clock_differs_from_the_database_is_not_ready(pool: PostgresPool, hours: int) -> None:
    checks = await readiness(pool, lambda: machine_time() + timedelta(hours=hours)).check()
    assert (checks["database"], checks["migrations"]) == (UP, UP)
    assert "SMP_CLOCK_SKEW_MAX_S" in checks["clock"]


async def test_a_database_that_accepts_no_writes_is_reported_and_still_answers_access_checks(database_url: str) -> None:
    """So it stays ready: out of service, no process would answer anything."""
    name = urlsplit(database_url).path.strip("/")
    await execute(database_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with serving(database_url, with_admin=False) as platform:
        ready = await (await platform.visitor()).get("/health/ready")
        assert ready.status_code == 200
        assert ready.json()["checks"]["writes"] == "refused, because the database is read-only"
        await (await platform.container.get(Sampler)).sample()
        metrics = read((await (await platform.visitor()).get("/metrics")).text)
        assert metrics("smp_ready", check="writes") == 0
        assert metrics("smp_ready", check="database") == 1
