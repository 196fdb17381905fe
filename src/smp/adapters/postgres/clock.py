"""The database's time, which all processes of the platform share."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Final, Protocol

from smp.adapters.postgres.errors import translate_driver_errors
from smp.adapters.postgres.mapping import instant_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.adapters.postgres.transaction import Transaction
from smp.application.errors import ClocksDiffer, StorageUnavailable
from smp.application.ports.clock import Clock, RealTime

ROUND_TRIP_MAX_S: Final = 0.5
"""The longest round trip of a measurement. Half of it is the greatest error, so a slower one is not used."""

_ATTEMPTS: Final = 3
_STEP_S: Final = 1.0
_NOW: Final = sql("SELECT clock_timestamp() AS now", is_urgent=True)


class TransactionTime(Protocol):
    """The platform's time, asked in a transaction."""

    @abstractmethod
    async def now_in(self, transaction: Transaction) -> datetime:
        """Return the present instant by the database."""


class RealTransactionTime(TransactionTime):
    """The real time."""

    async def now_in(self, transaction: Transaction) -> datetime:
        """Return the present instant by the database's clock."""
        row = await transaction.row(_NOW)
        if row is None:
            raise AssertionError("the statement has one row")
        return instant_of(row["now"])


REAL_TIME: Final = RealTransactionTime()


@dataclass(frozen=True, slots=True)
class _Measurement:
    """One moment by the database's clock, by the machine's, and by a counter of seconds that is never set."""

    database: datetime
    machine: datetime
    counter_s: float


class DatabaseClock(Clock, RealTime):
    """The database's clock, counted on in this process from one measurement to the next.

    Between two measurements a counter of seconds decides, so setting the machine's clock changes nothing. After the
    machine's clock was set, or the machine slept, the next question measures again.
    """

    def __init__(
        self,
        pool: PostgresPool,
        machine: Callable[[], datetime],
        skew_max: timedelta,
        counter_s: Callable[[], float] = monotonic,
    ) -> None:
        self._pool = pool
        self._machine = machine
        self._skew_max = skew_max
        self._counter_s = counter_s
        self._last: _Measurement | None = None
        self._measuring = asyncio.Lock()

    async def now(self) -> datetime:
        """Return the present instant of the database. Raises StorageUnavailable."""
        last = self._last
        if last is None or self._was_set_since(last):
            last = await self._measured_once()
        return last.database + timedelta(seconds=self._counter_s() - last.counter_s)

    async def confirm(self) -> None:
        """Measure, and compare the clocks of the database and of this machine.

        Raises:
            ClocksDiffer: if they differ by more than the setting allows.
            StorageUnavailable: if they cannot be compared.
        """
        skew = await self.measure()
        if abs(skew) > self._skew_max:
            raise ClocksDiffer(skew.total_seconds(), self._skew_max.total_seconds())

    async def measure(self) -> timedelta:
        """Measure, and return by how much the machine's clock is ahead of the database's. Raises StorageUnavailable.

        If the database answers slowly, the last measurement is kept.
        """
        last = await self._measured() or self._last
        if last is None:
            raise StorageUnavailable("the database answers too slowly to read its clock; try again later")
        return last.machine - last.database

    def _was_set_since(self, last: _Measurement) -> bool:
        passed_s = (self._machine() - last.machine).total_seconds()
        return abs(passed_s - (self._counter_s() - last.counter_s)) > _STEP_S

    async def _measured_once(self) -> _Measurement:
        """Return a new measurement; callers that come together share it."""
        async with self._measuring:
            last = self._last
            if last is None or self._was_set_since(last):
                last = await self._measured()
        if last is None:
            raise StorageUnavailable("the database answers too slowly to read its clock; try again later")
        return last

    async def _measured(self) -> _Measurement | None:
        """Return and keep a new measurement; ``None`` if every round trip took too long."""
        async with self._pool.connection(is_urgent=True) as connection:
            for _ in range(_ATTEMPTS):
                machine, counter_s = self._machine(), self._counter_s()
                with translate_driver_errors():
                    row = await _NOW.row(connection)
                round_trip_s = self._counter_s() - counter_s
                if row is not None and round_trip_s <= ROUND_TRIP_MAX_S:
                    database = instant_of(row["now"]) - timedelta(seconds=round_trip_s / 2)
                    self._last = _Measurement(database, machine, counter_s)
                    return self._last
        return None
