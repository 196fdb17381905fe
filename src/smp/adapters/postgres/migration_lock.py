"""The lock that makes migrations of one database run one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from smp.adapters.postgres.connecting import close_gracefully
from smp.adapters.postgres.errors import translate_driver_errors
from smp.adapters.postgres.host_selector import HostSelector
from smp.application.errors import TransactionConflict

_WAIT_FOR_OTHERS_S: Final = 60.0
_POLL_S: Final = 0.2

_LOCK: Final = "SELECT pg_try_advisory_xact_lock(1, 2)"
# A migration may take hours, and the transaction with the lock is idle for all of it.
_NO_LIMITS: Final = """
    SELECT set_config(name, '0', true) FROM pg_settings
    WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')
"""


@asynccontextmanager
async def no_other_migration(servers: HostSelector, connect_timeout_s: float) -> AsyncIterator[None]:
    """Run the block while no other migration of the database runs.

    The lock belongs to an idle transaction on a separate connection: it outlasts the transactions of the revisions,
    a pooler in transaction mode keeps it, and PostgreSQL releases it if the process dies. It is tried again and again,
    because ``CREATE INDEX CONCURRENTLY`` waits for every running statement: it would wait for those that wait for it.

    Raises:
        StorageUnavailable: if the database does not answer.
        TransactionConflict: if another migration runs for longer than a minute.
    """
    with translate_driver_errors():
        connection = await servers.connect(connect_timeout_s)
    try:
        with translate_driver_errors():
            await _wait_for_lock(connection)
        yield
    finally:
        await close_gracefully(connection)


async def _wait_for_lock(connection: asyncpg.Connection[Any]) -> None:
    try:
        async with asyncio.timeout(_WAIT_FOR_OTHERS_S):
            while not await _try_lock(connection):  # noqa: ASYNC110 - the event is in the database
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise TransactionConflict from None


async def _try_lock(connection: asyncpg.Connection[Any]) -> bool:
    await connection.execute("BEGIN")
    if await connection.fetchval(_LOCK):
        await connection.execute(_NO_LIMITS)
        return True
    await connection.execute("ROLLBACK")
    return False
