"""Reads that may be a little stale, from a replica as long as it is there and near, otherwise from the primary.

How near it is, is measured by what both servers agree on, their place in the write-ahead log: a replica that has
replayed the place at which the primary was a second ago shows the data of a second ago at least. No clocks are
compared; a primary on which nothing happens makes no replica look late; one that is cut off is noticed.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, Self, TypeVar

import structlog

from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import Row, Statement, sql
from smp.application.errors import StorageUnavailable, TransactionConflict
from smp.domain.errors import StorageIntegrityError

_WRITTEN: Final = sql("SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint")
_REPLAYED: Final = sql(
    """
    SELECT pg_wal_lsn_diff(
        CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END, '0/0'
    )::bigint
    """
)

_READ_FROM: Final = "the replica is read from"

Result = TypeVar("Result")

_log = structlog.stdlib.get_logger("smp.replica")


class ReadSource(StrEnum):
    """Who answered, and why not the replica."""

    REPLICA = "replica"
    AWAY = "away"
    BEHIND = "behind"
    CONFLICT = "conflict"


class ReplicaReadsObserver(Protocol):
    """Hears of every read, and of every look at the replica."""

    @abstractmethod
    def read(self, source: ReadSource) -> None:
        """A read was answered; by the primary unless the source says otherwise."""

    @abstractmethod
    def seen(self, lag_s: float | None) -> None:
        """The replica's data are at most so many seconds old; ``None`` where that is not known."""


class SilentReplicaReadsObserver(ReplicaReadsObserver):
    """An observer for processes without metrics."""

    def read(self, source: ReadSource) -> None:
        """Ignore it."""

    def seen(self, lag_s: float | None) -> None:
        """Ignore it."""


@dataclass(frozen=True, slots=True)
class ReplicaLimits:
    """How far a replica may lag, how often it is looked at, and what the primary bears when it is not used.

    ``rest_s`` is how long a replica that did not answer is left alone; one that lagged too far is taken again when it
    lags less than half of what it may. ``at_once`` reads of the primary are under way at most while the replica is not
    used, so that lists never take the connections that access checks need; others wait for ``wait_s``.
    """

    lag_s: float = 10.0
    look_every_s: float = 1.0
    look_timeout_s: float = 0.5
    cooldown_s: float = 5.0
    max_concurrency: int = 2
    wait_s: float = 0.9


LIMITS: Final = ReplicaLimits()


class ReplicaReads:
    """Where lists and statistics are read. Without a replica all is read from the primary, and nothing is watched.

    What the replica could not answer, for it went away, or gave the statement up in favour of what it replays, or does
    not know the newest schema yet, is asked of the primary at once.
    """

    def __init__(
        self,
        primary: PostgresPool,
        replica: PostgresPool | None = None,
        limits: ReplicaLimits = LIMITS,
        observer: ReplicaReadsObserver | None = None,
    ) -> None:
        self._primary = primary
        self._replica = replica
        self._limits = limits
        self._instead = asyncio.Semaphore(limits.max_concurrency)
        self._marks: deque[tuple[float, int]] = deque(maxlen=int(limits.lag_s / limits.look_every_s) + 2)
        self._as_of: float | None = None
        self._rests_until = 0.0
        self._why_not: ReadSource | None = ReadSource.BEHIND  # until it was looked at
        self._last_logged = ""
        self._observer: ReplicaReadsObserver = observer or SilentReplicaReadsObserver()

    async def rows(self, statement: Statement, /, **values: object) -> list[Row]:
        """All rows that the statement gives. Raises StorageUnavailable."""
        return await self._read(lambda pool: pool.rows(statement, **values))

    async def row(self, statement: Statement, /, **values: object) -> Row | None:
        """The first row that the statement gives. Raises StorageUnavailable."""
        return await self._read(lambda pool: pool.row(statement, **values))

    @property
    def lag_s(self) -> float | None:
        """How old the replica's data are at most; ``None`` where that is not known."""
        return None if self._as_of is None else _now() - self._as_of

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Self]:
        """Looks at the replica again and again while the context is open."""
        if self._replica is None:
            yield self
            return
        task = asyncio.create_task(self._watch(), name="replica")
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def probe(self) -> None:
        """See how near the replica is; decides whether it is read from until the next look."""
        if self._replica is None or _now() < self._rests_until:
            return
        # Without the primary's place the replica's data only grow older.
        with suppress(StorageUnavailable, StorageIntegrityError):
            self._marks.append((_now(), await _place(self._primary, _WRITTEN)))
        if self._is_full:
            return
        try:
            async with asyncio.timeout(self._limits.look_timeout_s):
                replayed = await _place(self._replica, _REPLAYED)
        except (StorageUnavailable, StorageIntegrityError, TimeoutError):
            self._leave()
            return
        while self._marks and self._marks[0][1] <= replayed:
            self._as_of = self._marks.popleft()[0]
        self._judge()

    def _judge(self) -> None:
        lag_s = self.lag_s
        self._observer.seen(lag_s)
        allowed_s = self._limits.lag_s if self._why_not is None else self._limits.lag_s / 2
        if lag_s is not None and lag_s <= allowed_s:
            self._why_not = None
            self._say(_READ_FROM)
        else:
            self._why_not = ReadSource.BEHIND
            # At the first looks nothing is known where the primary is busy: worth no alarm.
            proven_at = self._marks[0][0] if self._as_of is None and self._marks else self._as_of
            if proven_at is not None and _now() - proven_at > self._limits.lag_s:
                self._say("the replica is too far behind; the primary is read instead")

    def _leave(self) -> None:
        """Read the primary until the replica answers again, and for some seconds at least."""
        self._say("the replica does not answer; the primary is read instead")
        self._why_not, self._as_of = ReadSource.AWAY, None
        self._marks.clear()
        self._rests_until = _now() + self._limits.cooldown_s
        self._observer.seen(None)

    async def _watch(self) -> None:
        while True:
            try:
                await self.probe()
            except Exception:  # noqa: BLE001 - the loop must outlive everything that one look can meet
                _log.exception("the replica could not be looked at; it will be tried again")
            await asyncio.sleep(self._limits.look_every_s)

    async def _read(self, ask: Callable[[PostgresPool], Awaitable[Result]]) -> Result:
        if self._replica is None:
            return await ask(self._primary)
        source = self._why_not
        if source is None and (self.lag_s or 0) > self._limits.lag_s:
            source = ReadSource.BEHIND  # since the last look
        if source is None:
            try:
                answer = await ask(self._replica)
            except (TransactionConflict, StorageIntegrityError):
                source = ReadSource.CONFLICT
            except StorageUnavailable:
                if self._is_full:
                    raise  # it has more to do than it can, and the primary has enough of its own
                self._leave()
                source = ReadSource.AWAY
            else:
                self._observer.read(ReadSource.REPLICA)
                return answer
        self._observer.read(source)
        return await self._ask_primary(ask)

    async def _ask_primary(self, ask: Callable[[PostgresPool], Awaitable[Result]]) -> Result:
        try:
            async with asyncio.timeout(self._limits.wait_s):
                await self._instead.acquire()
        except TimeoutError:
            raise StorageUnavailable from None
        try:
            return await ask(self._primary)
        finally:
            self._instead.release()

    @property
    def _is_full(self) -> bool:
        return self._replica is not None and self._replica.in_use == self._replica.size

    def _say(self, what: str) -> None:
        """Once, and again only when something else was said."""
        if what == self._last_logged:
            return
        self._last_logged = what
        if what == _READ_FROM:
            _log.info(what)
        else:
            _log.warning(what, lag_limit_s=self._limits.lag_s)


async def _place(pool: PostgresPool, statement: Statement) -> int:
    """A place in the write-ahead log. Raises StorageUnavailable where there is none."""
    row = await pool.row(statement)
    if row is None or row[0] is None:
        raise StorageUnavailable
    place: int = row[0]
    return place


def _now() -> float:
    return asyncio.get_running_loop().time()
