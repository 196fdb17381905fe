"""The page about connection pooling is right: the parameters to ignore, the role's limits, no use of sessions."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Final

import pytest

from smp.adapters.postgres import connecting, pool, pool_settings
from smp.adapters.postgres.pool import create_pool
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.application.errors import StorageUnavailable

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "operations" / "connection-pooling.md").read_text(encoding="utf-8")
ADAPTER: Final = Path(pool.__file__).parent

TRACKED_BY_PGBOUNCER: Final = frozenset(
    {"user", "database", "client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings", "application_name"}
)
"""The parameters that PgBouncer keeps by itself; see track_extra_parameters in its documentation."""

MIGRATIONS: Final = frozenset(ADAPTER / name for name in ("migrator.py", "migration_lock.py", "online_ddl.py"))
"""What needs a direct connection."""

SSL_REQUEST: Final = 80_877_103

USES_A_SESSION: Final = re.compile(
    r"""\bpg_(?:try_)?advisory_lock|["';]\s*SET (?!LOCAL\b|TRANSACTION\b)|\bLISTEN\b|\bCREATE TEMP|\bWITH HOLD\b"""
)
"""Session locks, SET for a session (but not that of an UPDATE), LISTEN, temporary tables, and held cursors."""


async def startup_parameters(*, prepares: bool) -> set[str]:
    """Return the parameters with which the pool opens a connection, as a server that never answers receives them."""
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            content = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big") - 4)
            if int.from_bytes(content[:4], "big") != SSL_REQUEST:
                break
            writer.write(b"N")
        received.set_result(content[4:])
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connections = await create_pool(
            f"postgresql://smp@127.0.0.1:{port}/smp", PoolSettings(size=1, prepares=prepares)
        )
        with pytest.raises(StorageUnavailable):
            async with connections.connection():
                pass
        await connections.close()
    return {name.decode() for name in (await received).rstrip(b"\0").split(b"\0")[::2]}


async def test_the_page_tells_pgbouncer_to_ignore_every_parameter_that_it_would_refuse() -> None:
    (line,) = re.findall(r"(?m)^ignore_startup_parameters = (.+)$", PAGE)
    assert set(line.split(",")) == await startup_parameters(prepares=True) - TRACKED_BY_PGBOUNCER


async def test_without_prepared_statements_pgbouncer_has_to_ignore_nothing() -> None:
    assert await startup_parameters(prepares=False) <= TRACKED_BY_PGBOUNCER


def test_the_page_gives_the_role_and_pgbouncer_the_limits_of_the_pool() -> None:
    assert dict(re.findall(r"(?m)^ALTER ROLE smp SET (\w+) = '(\d+)s';$", PAGE)) == {
        "statement_timeout": str(pool_settings.STATEMENT_TIMEOUT_MS // 1000),
        "lock_timeout": str(pool_settings.LOCK_TIMEOUT_MS // 1000),
        "idle_in_transaction_session_timeout": str(pool_settings.IDLE_IN_TRANSACTION_TIMEOUT_MS // 1000),
    }
    assert f"\nmax_prepared_statements = {connecting._PREPARED_STATEMENTS}\n" in PAGE


def test_no_statement_relies_on_a_session() -> None:
    """Behind PgBouncer each transaction may use another connection."""
    for wrong in ("SELECT pg_try_advisory_lock(1)", "SELECT 1; SET x = 5", "LISTEN plans", "CREATE TEMP TABLE x()"):
        assert USES_A_SESSION.search(wrong)
    assert not USES_A_SESSION.search("sql('SET LOCAL x = 5; SELECT pg_advisory_xact_lock(1)'); UPDATE p SET name = 'x'")
    for file in set(ADAPTER.rglob("*.py")) - MIGRATIONS:
        assert not USES_A_SESSION.search(file.read_text(encoding="utf-8")), file
