"""The wiring of metrics: counters decorate the ports, and gauges are sampled."""

from __future__ import annotations

import asyncio
import math
import platform
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

import structlog
from dishka import Provider, Scope, alias, decorate, provide

from smp import __version__
from smp.adapters.http.health.metrics import Exposition
from smp.adapters.http.middleware.access_log import RequestObserver
from smp.adapters.http.settings import UP, Readiness
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.pool_observer import PoolObserver
from smp.adapters.postgres.replica_reads import ReplicaReads, ReplicaReadsObserver
from smp.adapters.postgres.subscription_counts import PostgresSubscriptionCounts
from smp.adapters.prometheus import definitions
from smp.adapters.prometheus.metrics import Metrics
from smp.adapters.prometheus.observers import AccessMetrics, JobMetrics, PoolMetrics, ReplicaMetrics, RequestMetrics
from smp.adapters.prometheus.ports import (
    InstrumentedLoginThrottle,
    InstrumentedPasswordHasher,
    InstrumentedPaymentGateway,
    InstrumentedUnitOfWorkFactory,
)
from smp.adapters.security.argon2_hasher import Argon2PasswordHasher
from smp.application.errors import ApplicationError
from smp.application.ports.clock import Clock
from smp.application.ports.login_throttle import LoginThrottle
from smp.application.ports.password_hasher import PasswordHasher
from smp.application.ports.payment_gateway import PaymentGateway
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.queries.check_access import CheckAccess
from smp.bootstrap.background import in_background
from smp.bootstrap.execution import ResultObservers
from smp.bootstrap.periodic_jobs import JOBS, JobObserver
from smp.domain.subscription.lifecycle import Status

SAMPLE_EVERY_S: Final = 5.0
"""The greatest age of a gauge: a third of the shortest interval at which Prometheus usually scrapes."""

GaugeUpdate = Callable[[], Awaitable[None]]
"""A function that reads a state and sets its gauges."""

_log = structlog.stdlib.get_logger("smp.metrics")


class Sampler:
    """A background task of each worker that updates the gauges every few seconds; an error skips one update only."""

    def __init__(self, updates: Sequence[GaugeUpdate], every_s: float = SAMPLE_EVERY_S) -> None:
        self._updates = updates
        self._every_s = every_s

    def running(self) -> AbstractAsyncContextManager[None]:
        """Update the gauges in the background while the context is open; leaving it stops at once."""
        return in_background(self._run, "metrics")

    async def sample(self) -> None:
        """Update all gauges once."""
        for update in self._updates:
            try:
                await update()
            except Exception:  # noqa: BLE001 - the loop must outlive every error of an update
                _log.exception("a gauge could not be updated; the next update follows")

    async def _run(self) -> None:
        while True:
            await self.sample()
            await asyncio.sleep(self._every_s)


LAG_MEASURED_EVERY_S: Final = 0.1


class LoopLag:
    """A background task of each worker that measures how late the event loop is."""

    def __init__(self, metrics: Metrics) -> None:
        self._observe = metrics.histogram(definitions.LOOP_LAG).observe

    def running(self) -> AbstractAsyncContextManager[None]:
        """Measure in the background while the context is open."""
        return in_background(self._run, "event loop lag")

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            planned_at = loop.time() + LAG_MEASURED_EVERY_S
            await asyncio.sleep(LAG_MEASURED_EVERY_S)
            self._observe(max(0.0, loop.time() - planned_at))


class MetricsProvider(Provider):
    """The metrics of a process that serves."""

    scope = Scope.APP
    metrics = provide(Metrics)
    exposition = alias(source=Metrics, provides=Exposition)
    requests = provide(RequestMetrics, provides=RequestObserver)
    pool_events = provide(PoolMetrics, provides=PoolObserver, override=True)
    replica_events = provide(ReplicaMetrics, provides=ReplicaReadsObserver, override=True)
    units_of_work = decorate(InstrumentedUnitOfWorkFactory, provides=UnitOfWorkFactory)
    throttle = decorate(InstrumentedLoginThrottle, provides=LoginThrottle)
    passwords = decorate(InstrumentedPasswordHasher, provides=PasswordHasher)
    payments = decorate(InstrumentedPaymentGateway, provides=PaymentGateway)
    counts = provide(PostgresSubscriptionCounts)
    loop_lag = provide(LoopLag)

    @provide
    def jobs(self, metrics: Metrics) -> JobObserver:
        """Return the observer that counts the runs of every job."""
        return JobMetrics(metrics, {job.name: job.outcome.counts for job in JOBS})

    @provide(override=True)
    def observers(self, metrics: Metrics) -> ResultObservers:
        """Return the observer that counts access decisions."""
        return ResultObservers({CheckAccess: AccessMetrics(metrics)})

    @provide
    def sampler(
        self,
        metrics: Metrics,
        pool: PostgresPool,
        lists: ReplicaReads,
        hasher: Argon2PasswordHasher,
        readiness: Readiness,
        counts: PostgresSubscriptionCounts,
        clock: Clock,
    ) -> Sampler:
        """Return the sampler of the pool, the replica, the password queue, the readiness and the subscriptions."""
        metrics.gauge(definitions.BUILD, __version__, platform.python_version()).set(1)
        return Sampler(
            (
                _pool_update(metrics, pool),
                _replica_update(metrics, lists),
                _password_update(metrics, hasher),
                _readiness_update(metrics, readiness),
                _subscription_update(metrics, counts, clock),
            )
        )


def _pool_update(metrics: Metrics, pool: PostgresPool) -> GaugeUpdate:
    async def update() -> None:
        metrics.gauge(definitions.POOL_SIZE).set(pool.size)
        metrics.gauge(definitions.POOL_CONNECTIONS, "in_use").set(pool.in_use)
        metrics.gauge(definitions.POOL_CONNECTIONS, "idle").set(pool.idle)
        metrics.gauge(definitions.POOL_WAITING).set(pool.waiting)

    return update


def _replica_update(metrics: Metrics, lists: ReplicaReads) -> GaugeUpdate:
    async def update() -> None:
        lag_s = lists.lag_s
        metrics.gauge(definitions.REPLICA_LAG).set(math.nan if lag_s is None else lag_s)

    return update


def _password_update(metrics: Metrics, hasher: Argon2PasswordHasher) -> GaugeUpdate:
    async def update() -> None:
        metrics.gauge(definitions.PASSWORDS, "running").set(hasher.running)
        metrics.gauge(definitions.PASSWORDS, "waiting").set(hasher.waiting)

    return update


def _readiness_update(metrics: Metrics, readiness: Readiness) -> GaugeUpdate:
    async def update() -> None:
        for check, state in (await readiness.check()).items():
            metrics.gauge(definitions.READY, check).set(state == UP)

    return update


def _subscription_update(metrics: Metrics, counts: PostgresSubscriptionCounts, clock: Clock) -> GaugeUpdate:
    async def update() -> None:
        try:
            current = await counts.at(await clock.now())
        except ApplicationError:
            # NaN, because the last values would look as if all were well.
            for gauge in (
                *(metrics.gauge(definitions.SUBSCRIPTIONS, status) for status in Status),
                metrics.gauge(definitions.OVERDUE),
                metrics.gauge(definitions.SWEEP_LAG),
            ):
                gauge.set(math.nan)
            return
        for status, n in current.subscriptions.items():
            metrics.gauge(definitions.SUBSCRIPTIONS, status).set(n)
        metrics.gauge(definitions.OVERDUE).set(current.overdue)
        metrics.gauge(definitions.SWEEP_LAG).set(current.lag.total_seconds())

    return update
