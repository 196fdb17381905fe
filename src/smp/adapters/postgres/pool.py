"""A pool of connections that fails fast when it is exhausted and recovers by itself when the database comes back.

It replaces the driver's pool for its rules: it waits less than a second for a connection, closes a connection after a
cancelled statement, and reaches the primary among several hosts. It also needs less CPU; see docs/performance.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Final, TypeVar

import asyncpg
from asyncpg.connect_utils import SessionAttribute as Role

from smp.adapters.postgres.availability_log import AvailabilityLog
from smp.adapters.postgres.connecting import PLAIN_CONNECTIONS, ConnectionClass, Connector, close_gracefully
from smp.adapters.postgres.error_kinds import kind_of_translated
from smp.adapters.postgres.errors import translate_driver_errors
from smp.adapters.postgres.host_selector import HostSelector, UrlSource
from smp.adapters.postgres.pool_observer import PoolObserver, SilentPoolObserver
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.adapters.postgres.statements import Connection, Row, Statement
from smp.application.errors import OutcomeUnknown, StorageBusy, StorageUnavailable, TransactionConflict

_CLOSE_TIMEOUT_S: Final = 5.0


Result = TypeVar("Result")


_Slots = tuple[asyncio.Semaphore, ...]
"""What a caller must have to use a connection, in the order in which it is taken."""


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
        self.settings: Final = settings
        self._size = settings.size
        self._slots = asyncio.Semaphore(settings.size)
        self._unreserved_slots = asyncio.Semaphore(settings.size - settings.reserved)
        self._ordinary: _Slots = (self._unreserved_slots, self._slots)
        self._urgent: _Slots = (self._slots,)
        self._idle: list[tuple[Connection, float]] = []
        self._in_use: dict[Connection, _Slots] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._waiting = 0
        self._observer: PoolObserver = observer or SilentPoolObserver()
        self._availability = AvailabilityLog("replica" if settings.read_only else "primary")

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
    async def connection(self, *, is_urgent: bool = False) -> AsyncIterator[Connection]:
        """Lend a connection for the block; errors of the driver in the block are not translated.

        Raises:
            StorageBusy: if there is no connection in time, because other callers have them all.
            StorageUnavailable: if none can be opened.
        """
        connection = await self._acquire(self._urgent if is_urgent else self._ordinary)
        is_clean = True
        try:
            yield connection
        except BaseException as error:
            is_clean = _leaves_it_clean(error)
            self._report(error)
            raise
        else:
            self._availability.answered()
        finally:
            self._release(connection, is_clean=is_clean)

    async def rows(self, statement: Statement, /, **values: object) -> list[Row]:
        """Return all rows of the statement, which runs in a separate transaction. Raises StorageUnavailable."""
        async with self.connection(is_urgent=statement.is_urgent) as connection:
            with translate_driver_errors():
                if not self.settings.prepares:
                    return await self._alone(connection, statement.rows, values)
                return await statement.rows(connection, **values)

    async def row(self, statement: Statement, /, **values: object) -> Row | None:
        """Return the first row of the statement, which runs in a separate transaction. Raises StorageUnavailable."""
        async with self.connection(is_urgent=statement.is_urgent) as connection:
            with translate_driver_errors():
                if not self.settings.prepares:
                    return await self._alone(connection, statement.row, values)
                return await statement.row(connection, **values)

    async def run(self, statement: Statement, /, **values: object) -> int:
        """Run the statement in a separate transaction; return how many rows it wrote. Raises StorageUnavailable."""
        async with self.connection(is_urgent=statement.is_urgent) as connection:
            with translate_driver_errors():
                if not self.settings.prepares:
                    return await self._alone(connection, statement.run, values)
                return await statement.run(connection, **values)

    async def _alone(
        self, connection: Connection, run: Callable[..., Awaitable[Result]], values: Mapping[str, object]
    ) -> Result:
        """Run one statement in a transaction that sets the limits; the pool closes the connection if it fails."""
        await connection.execute(self.settings.begin)
        result = await run(connection, **values)
        await connection.execute("COMMIT")
        return result

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

    async def _acquire(self, slots: _Slots) -> Connection:
        started_at = perf_counter()
        taken: _Slots = ()
        try:
            for slot in slots:
                await self._take(slot)
                taken = (*taken, slot)
            with translate_driver_errors():
                connection = self._take_idle() or await self._open()
        except BaseException as error:
            _free(taken)
            self._report(error)
            raise
        self._in_use[connection] = slots
        self._observer.acquired(perf_counter() - started_at)
        return connection

    async def _take(self, slot: asyncio.Semaphore) -> None:
        if not slot.locked():
            await slot.acquire()
            return
        self._waiting += 1
        try:
            async with asyncio.timeout(self._acquire_timeout_s):
                await slot.acquire()
        except TimeoutError:
            self._observer.exhausted()
            # During an outage the connections are not busy: they wait for the server.
            raise (StorageUnavailable if self._availability.is_out else StorageBusy) from None
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
        try:
            async with asyncio.timeout(self._acquire_timeout_s):
                return await self._connect()
        except asyncpg.PostgresError as error:
            raise StorageUnavailable from error  # whatever the reason is, there is no connection

    def _report(self, error: BaseException) -> None:
        self._availability.failed(error)
        if (kind := kind_of_translated(error)) is not None:
            self._observer.failed(kind)

    def _release(self, connection: Connection, *, is_clean: bool) -> None:
        slots = self._in_use.pop(connection)
        if connection.is_closed():
            _free(slots)
        elif self._is_closed or not is_clean or connection.is_in_transaction():
            # In the background: the caller does not wait for it. The slots are free when the connection is closed.
            self._discard(connection).add_done_callback(lambda _: _free(slots))
        else:
            self._idle.append((connection, asyncio.get_running_loop().time()))
            _free(slots)

    def _discard(self, connection: Connection) -> asyncio.Task[None]:
        """Close it in the background; a statement that still runs is cancelled, so that its locks are released."""
        task = asyncio.create_task(close_gracefully(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task


async def create_pool(
    url: str,
    settings: PoolSettings | None = None,
    observer: PoolObserver | None = None,
    connection_class: ConnectionClass = PLAIN_CONNECTIONS,
    read_url: UrlSource | None = None,
) -> PostgresPool:
    """Create a pool for the database at ``url`` (``postgresql://`` or ``postgresql+asyncpg://``), without connecting.

    ``read_url`` returns the present URL; it is called when the server refuses the user or the password.

    Raises:
        ValueError: if it is not such a URL.
    """
    settings = PoolSettings() if settings is None else settings
    # A pooler decides which server it is; asking that would need a prepared statement.
    role = Role.any if settings.read_only or not settings.prepares else Role.primary
    connector = Connector(
        HostSelector(url, role, read_url),
        connection_class,
        connect_timeout_s=settings.connect_timeout_s,
        command_timeout_s=settings.command_timeout_s,
        server_settings=settings.server_settings,
        prepares=settings.prepares,
    )
    return PostgresPool(connector.connect, settings, observer)


def _free(slots: _Slots) -> None:
    for slot in slots:
        slot.release()


def _leaves_it_clean(error: BaseException) -> bool:
    """Whether the connection can be reused after ``error``: the server has answered every statement."""
    if not isinstance(error, Exception):
        return False  # cancelled: an answer may still arrive
    if isinstance(error, TransactionConflict):
        return True
    return not isinstance(error, StorageUnavailable | OutcomeUnknown | asyncpg.InterfaceError | OSError)
