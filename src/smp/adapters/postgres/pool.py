"""The pool of connections: small, impatient, and whole again by itself after the database was away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from smp.adapters.postgres.errors import Translated
from smp.adapters.postgres.statements import Connection, Row, Statement, set_codecs
from smp.application.errors import OutcomeUnknown, StorageUnavailable, TransactionConflict

STATEMENT_TIMEOUT_MS: Final = 5_000
LOCK_TIMEOUT_MS: Final = 2_000
IDLE_IN_TRANSACTION_TIMEOUT_MS: Final = 10_000
IDLE_CONNECTION_LIFETIME_S: Final = 300.0

# The driver's own limit, 50,000 queries a connection, would mean a new connection every few seconds under load.
_QUERIES_A_CONNECTION: Final = 1_000_000_000
_PREPARED_STATEMENTS: Final = 500
_CLOSE_TIMEOUT_S: Final = 5.0
_CANCEL_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How many connections at most, what PostgreSQL calls them, and how long anything may take, in seconds."""

    size: int = 10
    application_name: str = "smp"
    connect_timeout_s: float = 2.0
    acquire_timeout_s: float = 0.9
    command_timeout_s: float = 2.0


class PostgresPool:
    """Connections for statements. None is opened before it is needed, so a process starts while PostgreSQL is away.

    A connection is returned only where its state is known; after a time-out, a cancellation or a lost server it is
    thrown away, and the next use opens a new one.
    """

    def __init__(self, pool: asyncpg.Pool[Row], acquire_timeout_s: float) -> None:
        self._pool = pool
        self._acquire_timeout_s = acquire_timeout_s
        self._leaving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of one's own; what the driver raises in the block is not translated.

        Raises:
            StorageUnavailable: where none is to be had in time.
        """
        connection = await self._acquire()
        is_clean = True
        try:
            yield connection
        except BaseException as error:
            is_clean = _leaves_it_clean(error)
            raise
        finally:
            if is_clean and not _is_in_transaction(connection):
                await self._pool.release(connection)
            else:
                # Beside the caller, who has waited long enough.
                task = asyncio.create_task(self._throw_away(connection))
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)

    async def rows(self, statement: Statement, /, **values: object) -> list[Row]:
        """All rows that the statement gives, in a transaction of its own. Raises StorageUnavailable."""
        async with self.connection() as connection:
            with Translated():
                return await statement.rows(connection, **values)

    async def row(self, statement: Statement, /, **values: object) -> Row | None:
        """The first row that the statement gives, in a transaction of its own. Raises StorageUnavailable."""
        async with self.connection() as connection:
            with Translated():
                return await statement.row(connection, **values)

    async def run(self, statement: Statement, /, **values: object) -> int:
        """How many rows the statement wrote, in a transaction of its own. Raises StorageUnavailable."""
        async with self.connection() as connection:
            with Translated():
                return await statement.run(connection, **values)

    async def close(self) -> None:
        """Close all connections: those in use when they come back, or after some seconds regardless."""
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def _throw_away(self, connection: PoolConnectionProxy[Row]) -> None:
        """Close it; where a statement still runs, have the server cancel it first, so that its locks are not held on."""
        try:
            async with asyncio.timeout(_CANCEL_TIMEOUT_S):
                await connection.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            with suppress(asyncpg.InterfaceError):  # the driver has taken a lost one back already
                connection.terminate()
        finally:
            await self._pool.release(connection)

    async def _acquire(self) -> PoolConnectionProxy[Row]:
        with Translated():
            # Not the pool's own parameter, which makes a task for every acquisition.
            async with asyncio.timeout(self._acquire_timeout_s):
                return await self._pool.acquire()


async def create_pool(url: str, settings: PoolSettings | None = None) -> PostgresPool:
    """A pool for the database at ``url`` (``postgresql://`` or ``postgresql+asyncpg://``); connects to nothing yet.

    Raises:
        ValueError: where the URL is not one.
    """
    settings = PoolSettings() if settings is None else settings
    pool = asyncpg.create_pool(
        driver_url(url),
        min_size=0,
        max_size=settings.size,
        max_queries=_QUERIES_A_CONNECTION,
        max_inactive_connection_lifetime=IDLE_CONNECTION_LIFETIME_S,
        init=set_codecs,
        reset=_nothing_to_reset,
        timeout=settings.connect_timeout_s,
        command_timeout=settings.command_timeout_s,
        statement_cache_size=_PREPARED_STATEMENTS,
        server_settings={
            "application_name": settings.application_name,
            "TimeZone": "UTC",
            "default_transaction_isolation": "read committed",
            "statement_timeout": str(STATEMENT_TIMEOUT_MS),
            "lock_timeout": str(LOCK_TIMEOUT_MS),
            "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
        },
    )
    await pool
    return PostgresPool(pool, settings.acquire_timeout_s)


def driver_url(url: str) -> str:
    """The URL as the driver reads it: without SQLAlchemy's name for the driver."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {"postgresql", "postgres", "postgresql+asyncpg"}:
        raise ValueError("the database URL must begin with postgresql://")
    return f"postgresql://{rest}"


async def _nothing_to_reset(_: object) -> None:
    """Nothing sets session state here, so the round trip of the driver's own reset would be for nothing."""


def _is_in_transaction(connection: Connection) -> bool:
    try:
        return connection.is_in_transaction()
    except asyncpg.InterfaceError:
        return False


def _leaves_it_clean(error: BaseException) -> bool:
    """Whether the server has answered everything that was asked before ``error``: the connection can go on."""
    if not isinstance(error, Exception):
        return False  # cancelled: an answer may still be on its way
    if isinstance(error, TransactionConflict):
        return True
    return not isinstance(error, StorageUnavailable | OutcomeUnknown | asyncpg.InterfaceError | OSError)
