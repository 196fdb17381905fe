"""Figures wired to what they are of: who counts is put around the ports, and states are looked at now and then."""

from __future__ import annotations

import asyncio
import math
import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
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
from smp.bootstrap.execution import ResultObservers
from smp.bootstrap.periodic_jobs import JOBS, JobObserver
from smp.domain.subscription.lifecycle import Status

SAMPLE_EVERY_S: Final = 5.0
"""How old a figure of a state can be; a third of the shortest interval at which Prometheus usually asks."""

Look = Callable[[], Awaitable[None]]
"""Looks at a state once, and sets the figures that tell of it."""

_log = structlog.stdlib.get_logger("smp.metrics")


class Sampler:
    """Looks at states every few seconds, in each worker; an error costs one look only."""

    def __init__(self, looks: Sequence[Look], every_s: float = SAMPLE_EVERY_S) -> None:
        self._looks = looks
        self._every_s = every_s

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Looks in the background as long as the context is open; leaving it stops at once."""
        task = asyncio.create_task(self._run(), name="metrics")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def sample(self) -> None:
        """One look at everything."""
        for look in self._looks:
            try:
                await look()
            except Exception:  # noqa: BLE001 - the loop must outlive everything that one look can meet
                _log.exception("a figure could not be read; it will be tried again")

    async def _run(self) -> None:
        while True:
            await self.sample()
            await asyncio.sleep(self._every_s)


class MetricsProvider(Provider):
    """The figures of a process that serves."""

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

    @provide
    def jobs(self, metrics: Metrics) -> JobObserver:
        """The counts of every job."""
        return JobMetrics(metrics, {job.name: job.outcome.counts for job in JOBS})

    @provide(override=True)
    def observers(self, metrics: Metrics) -> ResultObservers:
        """Counts access decisions."""
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
        """Who looks at the pool, the replica, the queue of passwords, the readiness, and the subscriptions."""
        metrics.gauge(definitions.BUILD, __version__, platform.python_version()).set(1)
        return Sampler(
            (
                _look_at_pool(metrics, pool),
                _look_at_replica(metrics, lists),
                _look_at_passwords(metrics, hasher),
                _look_at_readiness(metrics, readiness),
                _look_at_subscriptions(metrics, counts, clock),
            )
        )


def _look_at_pool(metrics: Metrics, pool: PostgresPool) -> Look:
    async def look() -> None:
        metrics.gauge(definitions.POOL_SIZE).set(pool.size)
        metrics.gauge(definitions.POOL_CONNECTIONS, "in_use").set(pool.in_use)
        metrics.gauge(definitions.POOL_CONNECTIONS, "idle").set(pool.idle)
        metrics.gauge(definitions.POOL_WAITING).set(pool.waiting)

    return look


def _look_at_replica(metrics: Metrics, lists: ReplicaReads) -> Look:
    async def look() -> None:
        lag_s = lists.lag_s
        metrics.gauge(definitions.REPLICA_LAG).set(math.nan if lag_s is None else lag_s)

    return look


def _look_at_passwords(metrics: Metrics, hasher: Argon2PasswordHasher) -> Look:
    async def look() -> None:
        metrics.gauge(definitions.PASSWORDS, "running").set(hasher.running)
        metrics.gauge(definitions.PASSWORDS, "waiting").set(hasher.waiting)

    return look


def _look_at_readiness(metrics: Metrics, readiness: Readiness) -> Look:
    async def look() -> None:
        for check, state in (await readiness.check()).items():
            metrics.gauge(definitions.READY, check).set(state == UP)

    return look


def _look_at_subscriptions(metrics: Metrics, counts: PostgresSubscriptionCounts, clock: Clock) -> Look:
    async def look() -> None:
        try:
            found = await counts.at(await clock.now())
        except ApplicationError:
            # Unknown is no number: the figures of before would look as if all were well.
            for gauge in (
                *(metrics.gauge(definitions.SUBSCRIPTIONS, status) for status in Status),
                metrics.gauge(definitions.OVERDUE),
                metrics.gauge(definitions.SWEEP_LAG),
            ):
                gauge.set(math.nan)
            return
        for status, n in found.subscriptions.items():
            metrics.gauge(definitions.SUBSCRIPTIONS, status).set(n)
        metrics.gauge(definitions.OVERDUE).set(found.overdue)
        metrics.gauge(definitions.SWEEP_LAG).set(found.lag.total_seconds())

    return look
