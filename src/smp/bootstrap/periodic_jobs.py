"""The jobs inside ``smp serve``: each worker runs each of them at its interval."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Protocol

import structlog
from dishka import AsyncContainer

from smp.application.caller import OPERATOR
from smp.application.execution import Handler
from smp.application.expiry import ExpiryOutcome
from smp.application.jobs.expire_due_subscriptions import ExpireDueSubscriptions
from smp.application.jobs.fold_counts import FoldCounts, FoldedCounts
from smp.application.jobs.outcome import JobOutcome
from smp.application.jobs.purge_expired import PurgeExpired
from smp.application.ports.retention_cleanup import PurgedRows
from smp.bootstrap.background import in_background
from smp.bootstrap.settings import Settings

JITTER: Final = 0.1
"""How far a pause may be from the interval, as a part of it, so that workers do not run a job all at once."""

FIRST_PAUSE_S: Final = 1.0

_log = structlog.stdlib.get_logger("smp.jobs")


@dataclass(frozen=True, slots=True)
class JobDefinition:
    """A job: its name in logs and metrics, its use case with the empty outcome, and its interval (0 for never)."""

    name: str
    command: object
    outcome: JobOutcome
    interval_s: Callable[[Settings], int]

    @property
    def handler(self) -> Any:  # noqa: ANN401 - a type that is made at run time
        """The type by which the container provides the handler."""
        generic: Any = Handler
        return generic[type(self.command), type(self.outcome)]


JOBS: Final = (
    JobDefinition("expire", ExpireDueSubscriptions(), ExpiryOutcome(), lambda settings: settings.sweep_interval_s),
    JobDefinition("purge", PurgeExpired(), PurgedRows(), lambda settings: settings.purge_interval_s),
    JobDefinition("fold_counts", FoldCounts(), FoldedCounts(), lambda settings: settings.fold_counts_interval_s),
)
"""Every job. A new one is one entry here and has its metrics with it."""


class JobObserver(Protocol):
    """Observes every run of every job."""

    @abstractmethod
    def succeeded(self, job: str, counts: Mapping[str, int], elapsed_s: float) -> None:
        """A run ended; things that it could not handle are in its counts."""

    @abstractmethod
    def failed(self, job: str, elapsed_s: float) -> None:
        """A run stopped with an error."""


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """Runs a job every ``interval_s`` seconds, more or less; an error costs one run only."""

    name: str
    run: Callable[[], Awaitable[JobOutcome]]
    interval_s: float
    observer: JobObserver
    random: Random = field(default_factory=Random)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Run the job in a task as long as the context is open; leaving it stops at once.

        The transaction under way is rolled back, and the next run of any worker repeats it.
        """
        return in_background(self._repeat, f"job {self.name}")

    async def _repeat(self) -> None:
        # The first run is soon after the start: a service that restarts more often than the interval needs one too.
        await asyncio.sleep(min(FIRST_PAUSE_S, self.pause_s()))
        while True:
            await self.run_once()
            await asyncio.sleep(self.pause_s())

    def pause_s(self) -> float:
        """Return the time to wait before the next run."""
        return self.interval_s * self.random.uniform(1 - JITTER, 1 + JITTER)

    async def run_once(self) -> None:
        """Run the job once; an error becomes a log line, because the next run may succeed."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            counts = (await self.run()).counts
        except Exception:  # noqa: BLE001 - the task must survive every error of a run
            _log.exception("the job failed and will run again", job_name=self.name)
            self.observer.failed(self.name, loop.time() - started)
            return
        elapsed_s = loop.time() - started
        self.observer.succeeded(self.name, counts, elapsed_s)
        if any(counts.values()):
            _log.info("job done", job_name=self.name, **counts, elapsed_s=round(elapsed_s, 3))


@asynccontextmanager
async def periodic_jobs(container: AsyncContainer, settings: Settings) -> AsyncIterator[None]:
    """Run every job that has an interval, each in its own task, so that none delays another."""
    observer = await container.get(JobObserver)
    async with AsyncExitStack() as stack:
        for job in JOBS:
            if interval_s := job.interval_s(settings):
                handler = await container.get(job.handler)
                await stack.enter_async_context(
                    PeriodicJob(job.name, _bound(handler, job.command), interval_s, observer).running()
                )
        yield


def _bound(handler: Handler[object, JobOutcome], command: object) -> Callable[[], Awaitable[JobOutcome]]:
    return lambda: handler(command, OPERATOR)
