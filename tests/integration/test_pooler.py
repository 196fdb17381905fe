"""Behind PgBouncer in transaction mode: each transaction may get another connection of the server."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from smp.adapters.postgres.pool import PostgresPool, create_pool
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.adapters.postgres.session_checks import check_session
from smp.adapters.postgres.statements import sql
from smp.adapters.postgres.unit_of_work import PostgresUnitOfWorkFactory
from smp.application.errors import StorageUnavailable, TransactionConflict
from tests.support.builders import a_key, a_plan, a_user, an_active, an_outcome
from tests.support.examples import running
from tests.support.processes import free_port
from tests.support.proxies import proxy_to
from tests.support.storage import add

SERVER_CONNECTIONS: Final = 3
CLIENTS: Final = 12
BACKEND: Final = sql("SELECT pg_backend_pid()")
JSON: Final = sql("SELECT CAST(:value AS jsonb) AS value")
LIMITS: Final = sql("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')")
UNPREPARED: Final = PoolSettings(size=CLIENTS, prepares=False, acquire_timeout_s=30.0)


@asynccontextmanager
async def pooler(database_url: str, folder: Path, *ignored: str) -> AsyncIterator[str]:
    """Run PgBouncer in front of the database, and yield the URL by way of it."""
    path = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        pytest.skip("pgbouncer is not installed; .ci/run fetches it")
    port = free_port()
    async with proxy_to(database_url) as proxy:
        parts = urlsplit(proxy.url)
        config = folder / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host=127.0.0.1 port={parts.port} user={parts.username}"
            f"{f' password={parts.password}' if parts.password else ''}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\nunix_socket_dir =\n"
            f"pool_mode = transaction\ndefault_pool_size = {SERVER_CONNECTIONS}\nmax_client_conn = 200\n"
            + (f"ignore_startup_parameters = {','.join(ignored)}\n" if ignored else "")
        )
        for readable in (folder, config):
            readable.chmod(0o755)
        # PgBouncer refuses to run as root.
        command = [path, str(config)] if os.geteuid() else [path, "-u", "nobody", str(config)]
        with running(command, port, folder, os.environ, folder):
            yield f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"


@asynccontextmanager
async def pool_of(url: str, settings: PoolSettings) -> AsyncIterator[PostgresPool]:
    pool = await create_pool(url, settings)
    try:
        yield pool
    finally:
        await pool.close()


async def at_once(work: Callable[[int], Awaitable[object]]) -> list[object]:
    """Run the work for each client at the same time, twice."""
    return [*await asyncio.gather(*(work(number % CLIENTS) for number in range(2 * CLIENTS)))]


async def test_without_prepared_statements_everything_works_behind_a_pooler_in_transaction_mode(
    database_url: str, tmp_path: Path
) -> None:
    """Single statements with values and JSON, transactions with an idempotency key, and the limits of SMP."""
    async with pooler(database_url, tmp_path) as url, pool_of(url, UNPREPARED) as pool:
        backends = {row["pg_backend_pid"] for row in await pids(pool)}
        assert 1 < len(backends) <= SERVER_CONNECTIONS, "the test needs connections that change"

        async def echo(number: int) -> object:
            row = await pool.row(JSON, value={"number": number})
            return None if row is None else row["value"]

        assert sorted(str(value) for value in await at_once(echo)) == sorted(
            str({"number": number}) for number in [*range(CLIENTS)] * 2
        )
        unit_of_work = PostgresUnitOfWorkFactory(pool)
        plan = a_plan()
        async with unit_of_work() as work:
            await add(work, plan)
            await work.commit()

        async def subscribe(number: int) -> None:
            user = a_user(f"user-{number}@example.com")
            async with unit_of_work(a_key(key=f"key-{number}")) as work:
                await add(work, user)
                await add(work, an_active(user, plan))
                await work.commit(an_outcome(user))

        await asyncio.gather(*(subscribe(number) for number in range(CLIENTS)))
        row = await pool.row(LIMITS)
        assert row is not None
        assert tuple(row) == ("1s", "5s")
        assert [result.ok for result in await check_session(pool)] == [True, True]


async def pids(pool: PostgresPool) -> list[dict[str, int]]:
    """Return the server's process for each of many statements that run at the same time."""

    async def slowly(_: int) -> dict[str, int]:
        row = await pool.row(sql("SELECT pg_backend_pid() AS pg_backend_pid, pg_sleep(0.05)"))
        assert row is not None
        return {"pg_backend_pid": row["pg_backend_pid"]}

    return [await task for task in [asyncio.create_task(slowly(number)) for number in range(CLIENTS)]]


async def test_a_lock_that_is_not_free_is_a_conflict_behind_a_pooler_too(database_url: str, tmp_path: Path) -> None:
    async with pooler(database_url, tmp_path) as url, pool_of(url, UNPREPARED) as pool, pool.connection() as holder:
        await holder.execute("BEGIN")
        await holder.execute("LOCK TABLE plans IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TransactionConflict):
            await pool.row(sql("SELECT count(*) FROM plans"))


async def test_a_pooler_that_takes_prepared_statements_away_is_reported_and_not_a_defect(
    database_url: str, tmp_path: Path
) -> None:
    """The request gets 503, the connection is replaced, and smp doctor finds the limits that the pooler dropped."""
    prepared = PoolSettings(size=CLIENTS, acquire_timeout_s=30.0)
    ignored = [name for name in prepared.server_settings if name not in {"application_name", "TimeZone"}]
    async with pooler(database_url, tmp_path, *ignored) as url, pool_of(url, prepared) as pool:
        results = await asyncio.gather(*(pool.row(BACKEND) for _ in range(8 * CLIENTS)), return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        assert {type(error) for error in errors} <= {StorageUnavailable}
    async with pooler(database_url, tmp_path, *ignored) as url, pool_of(url, PoolSettings(size=1)) as pool:
        limits, writes = await check_session(pool)
        assert not limits.ok
        assert "lock_timeout is 0, not 1000" in limits.detail
        assert "SMP_DATABASE_PREPARED_STATEMENTS=0" in limits.advice
        assert writes.ok


async def test_a_pooler_that_refuses_the_limits_is_an_outage_with_the_words_of_the_pooler(
    database_url: str, tmp_path: Path
) -> None:
    async with pooler(database_url, tmp_path) as url, pool_of(url, PoolSettings(size=1)) as pool:
        with pytest.raises(StorageUnavailable) as raised:
            await pool.row(BACKEND)
        assert "unsupported startup parameter" in str(raised.value.__cause__)
