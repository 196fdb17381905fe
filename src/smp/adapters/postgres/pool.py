"""A pool of connections that fails fast when it is exhausted and recovers by itself when the database comes back.

It replaces the driver's pool for its rules: it waits less than a second for a connection, closes a connection after a
cancelled statement, and reaches the primary among several hosts. It also needs less CPU; see docs/performance.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from types import MappingProxyType
from typing import Final, NewType

import asyncpg
from asyncpg.connect_utils import SessionAttribute as Role

from smp.adapters.postgres.error_kinds import ErrorKind, kind_of, kind_of_translated
from smp.adapters.postgres.errors import translate_driver_errors
from smp.adapters.postgres.host_selector import HostSelector
from smp.adapters.postgres.pool_observer import PoolObserver, SilentPoolObserver
from smp.adapters.postgres.statements import Connection, Row, Statement, set_codecs
from smp.application.errors import OutcomeUnknown, StorageUnavailable, TransactionConflict

STATEMENT_TIMEOUT_MS: Final = 5_000
LOCK_TIMEOUT_MS: Final = 2_000
IDLE_IN_TRANSACTION_TIMEOUT_MS: Final = 10_000

_READ_ONLY: Final = MappingProxyType({"default_transaction_read_only": "on"})
_PREPARED_STATEMENTS: Final = 500
_CLOSE_TIMEOUT_S: Final = 5.0
_CANCEL_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """The size of a pool, the name of its connections in PostgreSQL, and its time limits.

    A ``read_only`` pool connects to any server, a standby too, and PostgreSQL refuses every write; any other pool
    connects to the primary only. A connection that was unused for ``idle_lifetime_s`` is not used again, because a
    firewall may have dropped it.
    """

    size: int = 10
    read_only: bool = False
    application_name: str = "smp"
    connect_timeout_s: float = 2.0
    acquire_timeout_s: float = 0.9
    command_timeout_s: float = 2.0
    idle_lifetime_s: float = 300.0


ConnectionClass = NewType("ConnectionClass", type)
"""The class of the connections of a pool: the driver's, or a subclass that does more with each statement."""

PLAIN_CONNECTIONS: Final = ConnectionClass(asyncpg.Connection)


class PostgresPool:
    """A pool of connections; each is opened when it is first needed, so a process starts without PostgreSQL.

    A connection is reused only if its state is known. After a time-out, a cancellation or a network error it is closed,
    and the next caller opens another. The connection that was used last is used first, so that few stay open.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        settings: PoolSettings,
        observer: PoolObserver | None = None,
    ) -> None:
        self._connect = connect
        self._acquire_timeout_s = settings.acquire_timeout_s
        self._idle_lifetime_s = settings.idle_lifetime_s
        self._size = settings.size
        self._slots = asyncio.Semaphore(settings.size)
        self._idle: list[tuple[Connection, float]] = []
        self._in_use: set[Connection] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._waiting = 0
        self._observer: PoolObserver = observer or SilentPoolObserver()

    @property
    def size(self) -> int:
        """The number of connections that may be open."""
        return self._size

    @property
    def in_use(self) -> int:
        """The number of connections that callers have."""
        return len(self._in_use)

    @property
    def idle(self) -> int:
        """The number of open connections that no caller has."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """The number of callers that wait for a connection."""
        return self._waiting

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection for the block; errors of the driver in the block are not translated.

        Raises:
            StorageUnavailable: if there is no connection in time.
        """
        connection = await self._acquire()
        is_clean = True
        try:
            yield connection
        except BaseException as error:
            is_clean = _leaves_it_clean(error)
            self._report(kind_of_translated(error))
            raise
        finally:
            self._release(connection, is_clean=is_clean)

    async def rows(self, statement: Statement, /, **values: object) -> list[Row]:
        """Return all rows of the statement, which runs in a separate transaction. Raises StorageUnavailable."""
        async with self.connection() as connection:
            with translate_driver_errors():
                return await statement.rows(connection, **values)

    async def row(self, statement: Statement, /, **values: object) -> Row | None:
        """Return the first row of the statement, which runs in a separate transaction. Raises StorageUnavailable."""
        async with self.connection() as connection:
            with translate_driver_errors():
                return await statement.row(connection, **values)

    async def run(self, statement: Statement, /, **values: object) -> int:
        """Run the statement in a separate transaction; return how many rows it wrote. Raises StorageUnavailable."""
        async with self.connection() as connection:
            with translate_driver_errors():
                return await statement.run(connection, **values)

    async def close(self) -> None:
        """Close all connections: those in use when they are returned, or at once when that takes too long."""
        self._is_closed = True
        while self._idle:
            self._discard(self._idle.pop()[0])
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                for _ in range(self._size):
                    await self._slots.acquire()
        except TimeoutError:
            for connection in tuple(self._in_use):
                connection.terminate()
        await asyncio.gather(*self._closing)

    async def _acquire(self) -> Connection:
        started_at = perf_counter()
        with translate_driver_errors():
            if self._slots.locked():
                await self._wait_for_slot()
            else:
                await self._slots.acquire()
            try:
                connection = self._take_idle() or await self._open()
            except BaseException as error:
                self._slots.release()
                self._report(kind_of(error))
                raise
        self._in_use.add(connection)
        self._observer.acquired(perf_counter() - started_at)
        return connection

    async def _wait_for_slot(self) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(self._acquire_timeout_s):
                await self._slots.acquire()
        except TimeoutError:
            self._observer.exhausted()
            raise
        finally:
            self._waiting -= 1

    def _take_idle(self) -> Connection | None:
        if self._is_closed:
            raise StorageUnavailable
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection, idle_since = self._idle.pop()
            if connection.is_closed():
                continue
            if now - idle_since < self._idle_lifetime_s:
                return connection
            self._discard(connection)
        return None

    async def _open(self) -> Connection:
        async with asyncio.timeout(self._acquire_timeout_s):
            return await self._connect()

    def _report(self, kind: ErrorKind | None) -> None:
        if kind is not None:
            self._observer.failed(kind)

    def _release(self, connection: Connection, *, is_clean: bool) -> None:
        self._in_use.discard(connection)
        if connection.is_closed():
            self._slots.release()
        elif self._is_closed or not is_clean or connection.is_in_transaction():
            # In the background: the caller does not wait for it. The slot is free when the connection is closed.
            self._discard(connection).add_done_callback(lambda _: self._slots.release())
        else:
            self._idle.append((connection, asyncio.get_running_loop().time()))
            self._slots.release()

    def _discard(self, connection: Connection) -> asyncio.Task[None]:
        """Close it in the background; a statement that still runs is cancelled, so that its locks are released."""
        task = asyncio.create_task(_close(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task


async def create_pool(
    url: str,
    settings: PoolSettings | None = None,
    observer: PoolObserver | None = None,
    connection_class: ConnectionClass = PLAIN_CONNECTIONS,
) -> PostgresPool:
    """Create a pool for the database at ``url`` (``postgresql://`` or ``postgresql+asyncpg://``), without connecting.

    Raises:
        ValueError: if it is not such a URL.
    """
    settings = PoolSettings() if settings is None else settings
    hosts = HostSelector(url, Role.any if settings.read_only else Role.primary)

    async def connect() -> Connection:
        connection = await hosts.connect(
            settings.connect_timeout_s,
            connection_class=connection_class,
            command_timeout=settings.command_timeout_s,
            statement_cache_size=_PREPARED_STATEMENTS,
            server_settings={
                "application_name": settings.application_name,
                "TimeZone": "UTC",
                "default_transaction_isolation": "read committed",
                "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                "lock_timeout": str(LOCK_TIMEOUT_MS),
                "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
                **(_READ_ONLY if settings.read_only else {}),
            },
        )
        try:
            await set_codecs(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    return PostgresPool(connect, settings, observer)


async def _close(connection: Connection) -> None:
    try:
        async with asyncio.timeout(_CANCEL_TIMEOUT_S):
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        connection.terminate()


def _leaves_it_clean(error: BaseException) -> bool:
    """Whether the connection can be reused after ``error``: the server has answered every statement."""
    if not isinstance(error, Exception):
        return False  # cancelled: an answer may still arrive
    if isinstance(error, TransactionConflict):
        return True
    return not isinstance(error, StorageUnavailable | OutcomeUnknown | asyncpg.InterfaceError | OSError)
