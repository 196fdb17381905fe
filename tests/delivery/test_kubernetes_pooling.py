"""What docs/sizing.md says of PgBouncer stays true: what it ignores, what the role needs, that no session is needed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Final

import pytest

from smp.adapters.postgres import pool
from smp.adapters.postgres.pool import PoolSettings, create_pool
from smp.application.errors import StorageUnavailable
from tests.support.manifests import K8S

PAGE: Final = K8S.parent / "docs" / "sizing.md"
ADAPTER: Final = Path(pool.__file__).parent

KNOWN_TO_PGBOUNCER: Final = frozenset(
    {"user", "database", "client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings", "application_name"}
)
"""What PgBouncer keeps by itself, see track_extra_parameters in its documentation."""

SSL_REQUEST: Final = 80_877_103

# Locks by pg_advisory_lock, SET without LOCAL or TRANSACTION (not that of an UPDATE), LISTEN, temporary tables.
BOUND_TO_A_SESSION: Final = re.compile(
    r"""\bpg_(?:try_)?advisory_lock|["';]\s*SET (?!LOCAL\b|TRANSACTION\b)|\bLISTEN\b|\bCREATE TEMP|\bWITH HOLD\b"""
)


async def startup_parameters() -> set[str]:
    """The names that a connection of the pool gives PostgreSQL when it begins, heard by nobody who answers."""
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            content = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big") - 4)
            if int.from_bytes(content[:4], "big") != SSL_REQUEST:
                break
            writer.write(b"N")
        heard.set_result(content[4:])
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connections = await create_pool(f"postgresql://smp@127.0.0.1:{port}/smp", PoolSettings(size=1))
        with pytest.raises(StorageUnavailable):
            async with connections.connection():
                pass
        await connections.close()
    return {name.decode() for name in (await heard).rstrip(b"\0").split(b"\0")[::2]}


async def test_it_is_told_to_ignore_what_it_does_not_know() -> None:
    """Each name that the pool gives and PgBouncer refuses, and no other."""
    line = re.search(r"^ignore_startup_parameters = (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert line is not None
    assert set(line[1].split(",")) == await startup_parameters() - KNOWN_TO_PGBOUNCER


def test_the_role_has_the_limits_of_the_pool() -> None:
    """In seconds, as the pool would have set them; the isolation is PostgreSQL's own default."""
    given = dict(re.findall(r"^ALTER ROLE smp SET (\w+) = '(\d+)s';$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert {name: int(seconds) * 1000 for name, seconds in given.items()} == {
        "statement_timeout": pool.STATEMENT_TIMEOUT_MS,
        "lock_timeout": pool.LOCK_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": pool.IDLE_IN_TRANSACTION_TIMEOUT_MS,
    }


def test_it_remembers_all_that_is_prepared() -> None:
    line = re.search(r"^max_prepared_statements = (\d+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert line is not None
    assert int(line[1]) == pool._PREPARED_STATEMENTS


def test_nothing_is_bound_to_a_session() -> None:
    """A connection behind PgBouncer is another one after each transaction."""
    bound = {
        f"{file.name}: {match[0]}"
        for file in ADAPTER.glob("*.py")
        for match in BOUND_TO_A_SESSION.finditer(file.read_text(encoding="utf-8"))
    }
    assert bound == set()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock(1)",
        "SELECT 1; SET statement_timeout = 5",
        "sql('SET SESSION CHARACTERISTICS')",
        "LISTEN plans",
        "CREATE TEMP TABLE x()",
    ],
)
def test_what_is_would_be_found(statement: str) -> None:
    assert BOUND_TO_A_SESSION.search(statement)
    assert not BOUND_TO_A_SESSION.search("sql('SET LOCAL lock_timeout = 5; SELECT pg_advisory_xact_lock(1)')")
    assert not BOUND_TO_A_SESSION.search("UPDATE plans SET name = 'x'")
