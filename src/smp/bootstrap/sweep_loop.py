"""The sweep inside ``smp serve``: each worker runs the expire use case now and then."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, Protocol

import structlog

from smp.application.caller import OPERATOR
from smp.application.commands.expire_due_subscriptions import ExpireDueSubscriptions
from smp.application.execution import Handler
from smp.application.expiry import SweepOutcome
from smp.application.ports.id_generator import IdGenerator

JITTER: Final = 0.1
"""How far a pause may be from the interval, as a part of it: so that workers and replicas do not march in step."""

FIRST_PAUSE_S: Final = 1.0
_STEPS: Final = 1 << 16

_log = structlog.stdlib.get_logger("smp.sweep")


class SweepObserver(Protocol):
    """Hears of every turn."""

    @abstractmethod
    def swept(self, outcome: SweepOutcome) -> None:
        """One went through, with this outcome; rows that could not be ended are part of it."""

    @abstractmethod
    def failed(self) -> None:
        """One was broken off."""


class SweepLoop:
    """Sweeps every ``interval_s`` seconds, more or less, until it is stopped; an error costs one turn only."""

    def __init__(
        self,
        expire: Handler[ExpireDueSubscriptions, SweepOutcome],
        ids: IdGenerator,
        interval_s: float,
        observer: SweepObserver,
    ) -> None:
        """With ``interval_s`` 0 it never sweeps."""
        self._expire = expire
        self._ids = ids
        self._interval_s = interval_s
        self._observer = observer

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sweeps in the background as long as the context is open; leaving it stops at once.

        A batch under way is rolled back, so that the next sweep, of whoever, does it again.
        """
        if not self._interval_s:
            yield
            return
        task = asyncio.create_task(self._run(), name="sweep")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        # Soon after the start, for a service that is restarted more often than it sweeps would never sweep otherwise.
        await asyncio.sleep(min(FIRST_PAUSE_S, self.pause_s()))
        while True:
            await self.sweep()
            await asyncio.sleep(self.pause_s())

    def pause_s(self) -> float:
        """How long to wait before the next turn: the interval, give or take a tenth."""
        # The tail of an id is random, which is all that is wanted here.
        part = self._ids.new().int % _STEPS / (_STEPS - 1)
        return self._interval_s * (1 - JITTER + 2 * JITTER * part)

    async def sweep(self) -> None:
        """One turn; whatever goes wrong becomes a log line, for the next turn may succeed."""
        started = asyncio.get_running_loop().time()
        try:
            outcome = await self._expire(ExpireDueSubscriptions(), OPERATOR)
        except Exception:  # noqa: BLE001 - the loop must outlive everything that one turn can meet
            _log.exception("the sweep failed; it will be tried again")
            self._observer.failed()
            return
        self._observer.swept(outcome)
        if outcome.ended or outcome.failed or outcome.purged:
            _log.info(
                "swept",
                expired=outcome.expired,
                cancelled=outcome.cancelled,
                failed=len(outcome.failed),
                purged=outcome.purged,
                elapsed_s=round(asyncio.get_running_loop().time() - started, 3),
            )
