"""Reads that may be slightly stale: from a replica while it answers and lags little, otherwise from the primary.

The lag is measured by positions in the write-ahead log: a replica that has replayed the position at which the primary
was a second ago has the data of a second ago or newer. So no clocks are compared, an idle primary does not make a
replica look late, and a replica that is cut off is noticed.
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
from smp.application.errors import StorageBusy, StorageUnavailable, TransactionConflict
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
    """The source of a read: the replica, or the primary with the reason."""

    REPLICA = "replica"
    AWAY = "away"
    BEHIND = "behind"
    CONFLICT = "conflict"


class ReplicaReadsObserver(Protocol):
    """An observer of reads and of probes of the replica."""

    @abstractmethod
    def read(self, source: ReadSource) -> None:
        """Observe a read from this source."""

    @abstractmethod
    def seen(self, lag_s: float | None) -> None:
        """Observe the greatest age of the replica's data after a probe; ``None`` if it is unknown."""


class SilentReplicaReadsObserver(ReplicaReadsObserver):
    """An observer for processes without metrics."""

    def read(self, source: ReadSource) -> None:
        """Do nothing."""

    def seen(self, lag_s: float | None) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class ReplicaLimits:
    """The limits of a replica, and of the primary while the replica is not used.

    A replica that did not answer is not used for ``cooldown_s``; one that lagged more than ``lag_s`` is used again when
    it lags less than half of that. While the replica is not used, at most ``max_concurrency`` reads run on the primary,
    so that lists do not take the connections that access checks need; others wait for ``wait_s``.
    """

    lag_s: float = 10.0
    probe_every_s: float = 1.0
    probe_timeout_s: float = 0.5
    cooldown_s: float = 5.0
    max_concurrency: int = 2
    wait_s: float = 0.9


LIMITS: Final = ReplicaLimits()


class ReplicaReads:
    """The source of lists and statistics; without a replica, half of the connections to the primary.

    A read that fails on the replica is repeated on the primary at once. The replica may be gone, may have cancelled the
    statement in favour of replay, or may not have the newest schema yet.
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
        limit = max(1, primary.size // 2) if replica is None else limits.max_concurrency
        self._primary_slots = asyncio.Semaphore(limit)
        self._marks: deque[tuple[float, int]] = deque(maxlen=int(limits.lag_s / limits.probe_every_s) + 2)
        self._as_of: float | None = None
        self._unused_until = 0.0
        self._reason: ReadSource | None = ReadSource.BEHIND  # until the first probe
        self._last_logged = ""
        self._observer: ReplicaReadsObserver = observer or SilentReplicaReadsObserver()

    async def rows(self, statement: Statement, /, **values: object) -> list[Row]:
        """Return all rows of the statement. Raises StorageUnavailable."""
        return await self._read(lambda pool: pool.rows(statement, **values))

    async def row(self, statement: Statement, /, **values: object) -> Row | None:
        """Return the first row of the statement. Raises StorageUnavailable."""
        return await self._read(lambda pool: pool.row(statement, **values))

    @property
    def lag_s(self) -> float | None:
        """The greatest age of the replica's data; ``None`` if it is unknown."""
        return None if self._as_of is None else _now() - self._as_of

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Self]:
        """Probe the replica regularly while the context is open."""
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
        """Measure the lag, and decide whether the replica is used until the next probe."""
        if self._replica is None or _now() < self._unused_until:
            return
        # Without the primary's position the replica's data only grow older.
        with suppress(StorageUnavailable, StorageIntegrityError):
            self._marks.append((_now(), await _position(self._primary, _WRITTEN)))
        if self._is_full:
            return
        try:
            async with asyncio.timeout(self._limits.probe_timeout_s):
                replayed = await _position(self._replica, _REPLAYED)
        except (StorageUnavailable, StorageIntegrityError, TimeoutError):
            self._leave()
            return
        while self._marks and self._marks[0][1] <= replayed:
            self._as_of = self._marks.popleft()[0]
        self._decide()

    def _decide(self) -> None:
        lag_s = self.lag_s
        self._observer.seen(lag_s)
        allowed_s = self._limits.lag_s if self._reason is None else self._limits.lag_s / 2
        if lag_s is not None and lag_s <= allowed_s:
            self._reason = None
            self._log_change(_READ_FROM)
        else:
            self._reason = ReadSource.BEHIND
            # The lag is unknown at the first probes if the primary is busy, which is no reason to warn.
            proven_at = self._marks[0][0] if self._as_of is None and self._marks else self._as_of
            if proven_at is not None and _now() - proven_at > self._limits.lag_s:
                self._log_change("the replica is too far behind; the primary is read instead")

    def _leave(self) -> None:
        """Use the primary until the replica answers again, and for ``cooldown_s`` at least."""
        self._log_change("the replica does not answer; the primary is read instead")
        self._reason, self._as_of = ReadSource.AWAY, None
        self._marks.clear()
        self._unused_until = _now() + self._limits.cooldown_s
        self._observer.seen(None)

    async def _watch(self) -> None:
        while True:
            try:
                await self.probe()
            except Exception:  # noqa: BLE001 - the loop must outlive every error of a probe
                _log.exception("the probe of the replica failed; the next one follows")
            await asyncio.sleep(self._limits.probe_every_s)

    async def _read(self, ask: Callable[[PostgresPool], Awaitable[Result]]) -> Result:
        if self._replica is None:
            return await self._ask_primary(ask)
        source = self._reason
        if source is None and (self.lag_s or 0) > self._limits.lag_s:
            source = ReadSource.BEHIND  # since the last probe
        if source is None:
            try:
                answer = await ask(self._replica)
            except (TransactionConflict, StorageIntegrityError):
                source = ReadSource.CONFLICT
            except StorageUnavailable:
                if self._is_full:
                    raise  # the replica is overloaded, and the primary must not take its reads
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
                await self._primary_slots.acquire()
        except TimeoutError:
            raise StorageBusy from None
        try:
            return await ask(self._primary)
        finally:
            self._primary_slots.release()

    @property
    def _is_full(self) -> bool:
        return self._replica is not None and self._replica.in_use == self._replica.size

    def _log_change(self, what: str) -> None:
        """Log a state when it changes."""
        if what == self._last_logged:
            return
        self._last_logged = what
        if what == _READ_FROM:
            _log.info(what)
        else:
            _log.warning(what, lag_limit_s=self._limits.lag_s)


async def _position(pool: PostgresPool, statement: Statement) -> int:
    """Read a position in the write-ahead log. Raises StorageUnavailable if there is none."""
    row = await pool.row(statement)
    if row is None or row[0] is None:
        raise StorageUnavailable
    position: int = row[0]
    return position


def _now() -> float:
    return asyncio.get_running_loop().time()
