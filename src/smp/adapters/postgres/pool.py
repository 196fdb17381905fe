"""The pool of connections: small, impatient, and whole again by itself after the database was away.

Not the driver's own pool, which makes a task for every return of a connection: that costs as much as a short statement.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from types import MappingProxyType
from typing import Final, Protocol, Self

import asyncpg
from asyncpg.connect_utils import SessionAttribute as Role

from smp.adapters.postgres.error_kinds import ErrorKind, kind_of, kind_of_translated
from smp.adapters.postgres.errors import Translated
from smp.adapters.postgres.host_selector import HostSelector
from smp.adapters.postgres.statements import Connection, Row, Statement, set_codecs
from smp.application.errors import OutcomeUnknown, StorageUnavailable, TransactionConflict

STATEMENT_TIMEOUT_MS: Final = 5_000
LOCK_TIMEOUT_MS: Final = 2_000
IDLE_IN_TRANSACTION_TIMEOUT_MS: Final = 10_000

IDLE_LIFETIME_S: Final = 300.0
"""A connection that was not used for so long is not used again: firewalls forget such."""

_READ_ONLY: Final = MappingProxyType({"default_transaction_read_only": "on"})
_PREPARED_STATEMENTS: Final = 500
_CLOSE_TIMEOUT_S: Final = 5.0
_CANCEL_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How many connections at most, what PostgreSQL calls them, and how long anything may take, in seconds.

    With ``read_only`` any server will do, a standby too, and it refuses every write; otherwise only the primary.
    """

    size: int = 10
    read_only: bool = False
    application_name: str = "smp"
    connect_timeout_s: float = 2.0
    acquire_timeout_s: float = 0.9
    command_timeout_s: float = 2.0


class PoolObserver(Protocol):
    """Hears of what cannot be seen by looking at the pool now and then."""

    @abstractmethod
    def acquired(self, waited_s: float) -> None:
        """A connection was given out so long after it was asked for."""

    @abstractmethod
    def exhausted(self) -> None:
        """None came free in time."""

    @abstractmethod
    def failed(self, kind: ErrorKind) -> None:
        """A statement, or the opening of a connection, failed in this way."""


Wrap = Callable[[Connection], Connection]
"""Makes of a connection one that does more with each statement."""


class PostgresPool:
    """Connections for statements. None is opened before it is needed, so a process starts while PostgreSQL is away.

    A connection is used again only where its state is known; after a time-out, a cancellation or a lost server it is
    thrown away, and the next use opens a new one. The one used last is used first, so that few are open.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], settings: PoolSettings) -> None:
        self._connect = connect
        self._acquire_timeout_s = settings.acquire_timeout_s
        self._size = settings.size
        self._slots = asyncio.Semaphore(settings.size)
        self._idle: list[tuple[Connection, float]] = []
        self._in_use: set[Connection] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._waiting = 0
        self._observer: PoolObserver | None = None
        self._wrap: Wrap | None = None

    def set_observer(self, observer: PoolObserver) -> Self:
        """This pool, with somebody who hears of what happens in it."""
        self._observer = observer
        return self

    def set_connection_factory(self, wrap: Wrap) -> Self:
        """This pool, which from now on opens its connections wrapped."""
        self._wrap = wrap
        return self

    @property
    def size(self) -> int:
        """How many connections may be open."""
        return self._size

    @property
    def in_use(self) -> int:
        """How many are given out."""
        return len(self._in_use)

    @property
    def idle(self) -> int:
        """How many are open and not given out."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """How many callers wait for one to come free."""
        return self._waiting

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
            self._report(kind_of_translated(error))
            raise
        finally:
            self._release(connection, is_clean=is_clean)

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
        asked_at = perf_counter()
        with Translated():
            if self._slots.locked():
                await self._wait_for_place()
            else:
                await self._slots.acquire()
            try:
                connection = self._take_idle() or await self._open()
            except BaseException as error:
                self._slots.release()
                self._report(kind_of(error))
                raise
        self._in_use.add(connection)
        if self._observer is not None:
            self._observer.acquired(perf_counter() - asked_at)
        return connection

    async def _wait_for_place(self) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(self._acquire_timeout_s):
                await self._slots.acquire()
        except TimeoutError:
            if self._observer is not None:
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
            if now - idle_since < IDLE_LIFETIME_S:
                return connection
            self._discard(connection)
        return None

    async def _open(self) -> Connection:
        async with asyncio.timeout(self._acquire_timeout_s):
            connection = await self._connect()
        return connection if self._wrap is None else self._wrap(connection)

    def _report(self, kind: ErrorKind | None) -> None:
        if self._observer is not None and kind is not None:
            self._observer.failed(kind)

    def _release(self, connection: Connection, *, is_clean: bool) -> None:
        self._in_use.discard(connection)
        if connection.is_closed():
            self._slots.release()
        elif self._is_closed or not is_clean or connection.is_in_transaction():
            # Beside the caller, who has waited long enough; the place is free again when it is gone.
            self._discard(connection).add_done_callback(lambda _: self._slots.release())
        else:
            self._idle.append((connection, asyncio.get_running_loop().time()))
            self._slots.release()

    def _discard(self, connection: Connection) -> asyncio.Task[None]:
        """Close it; where a statement still runs, the server is asked to cancel it, so that its locks are let go."""
        task = asyncio.create_task(_close(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task


async def create_pool(url: str, settings: PoolSettings | None = None) -> PostgresPool:
    """A pool for the database at ``url`` (``postgresql://`` or ``postgresql+asyncpg://``); connects to nothing yet.

    Raises:
        ValueError: where the URL is not one.
    """
    settings = PoolSettings() if settings is None else settings
    hosts = HostSelector(url, Role.any if settings.read_only else Role.primary)

    async def connect() -> Connection:
        connection = await hosts.connect(
            settings.connect_timeout_s,
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

    return PostgresPool(connect, settings)


async def _close(connection: Connection) -> None:
    try:
        async with asyncio.timeout(_CANCEL_TIMEOUT_S):
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        connection.terminate()


def _leaves_it_clean(error: BaseException) -> bool:
    """Whether the server has answered everything that was asked before ``error``: the connection can go on."""
    if not isinstance(error, Exception):
        return False  # cancelled: an answer may still be on its way
    if isinstance(error, TransactionConflict):
        return True
    return not isinstance(error, StorageUnavailable | OutcomeUnknown | asyncpg.InterfaceError | OSError)
