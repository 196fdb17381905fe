"""Observers that count events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import Counter, Histogram

from smp.adapters.prometheus.definitions import (
    ACCESS_DECISIONS,
    DATABASE_ERRORS,
    IN_FLIGHT,
    JOB_ITEMS,
    JOB_RUNS,
    JOB_SUCCEEDED_AT,
    JOB_TIME,
    METHODS,
    POOL_TIMEOUTS,
    POOL_WAIT,
    REPLICA_READS,
    REQUEST_TIME,
    REQUESTS,
)
from smp.adapters.prometheus.metrics import Metrics
from smp.domain.access import AccessDecision, Reason

_METHODS: Final = frozenset(METHODS)


class RequestMetrics:
    """Counts responses by method, route template and status, and measures their time."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._in_flight = metrics.gauge(IN_FLIGHT)

    def began(self) -> None:
        """Count a request as in flight, until it is answered."""
        self._in_flight.inc()

    def __call__(self, method: str, route: str, status: int, elapsed_s: float) -> None:
        """Count a response. Unknown methods share one series, because callers can send any name."""
        series = self._series.get((method, route, status))
        if series is None:
            series = self._first(method if method in _METHODS else "other", route, status)
        self._in_flight.dec()
        series[0].inc()
        series[1].observe(elapsed_s)

    def _first(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        """Return the series and cache them, because looking up labels takes longer than counting."""
        series = (
            self._metrics.counter(REQUESTS, method, route, str(status)),
            self._metrics.histogram(REQUEST_TIME, method, route),
        )
        return self._series.setdefault((method, route, status), series)


class PoolMetrics:
    """Counts the events of a connection pool."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._wait = metrics.histogram(POOL_WAIT)
        self._timeouts = metrics.counter(POOL_TIMEOUTS)

    def acquired(self, waited_s: float) -> None:
        """Record how long a caller waited for its connection."""
        self._wait.observe(waited_s)

    def exhausted(self) -> None:
        """Count a caller that got no connection in time."""
        self._timeouts.inc()

    def failed(self, kind: str) -> None:
        """Count a failed statement or connection by the kind of its error."""
        self._metrics.counter(DATABASE_ERRORS, kind).inc()


class ReplicaMetrics:
    """Counts reads that may be slightly stale, by their source."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def read(self, outcome: str) -> None:
        """Count a read from this source."""
        self._metrics.counter(REPLICA_READS, outcome).inc()

    def seen(self, lag_s: float | None) -> None:
        """Ignore it: the lag is a gauge, which is sampled."""


class AccessMetrics:
    """Counts access decisions by their reason."""

    def __init__(self, metrics: Metrics) -> None:
        self._decisions = {reason: metrics.counter(ACCESS_DECISIONS, reason) for reason in Reason}

    def __call__(self, decision: AccessDecision) -> None:
        """Count a decision."""
        self._decisions[decision.reason].inc()


class JobMetrics:
    """Counts the runs of each job and what they did."""

    def __init__(self, metrics: Metrics, jobs: Mapping[str, Mapping[str, int]]) -> None:
        """Start every series at 0, so that its first increase is visible; ``jobs`` has the counts of each job."""
        self._metrics = metrics
        for job, counts in jobs.items():
            self._add(job, dict.fromkeys(counts, 0))
            for outcome in ("succeeded", "failed"):
                metrics.counter(JOB_RUNS, job, outcome)
            metrics.gauge(JOB_SUCCEEDED_AT, job)

    def succeeded(self, job: str, counts: Mapping[str, int], elapsed_s: float) -> None:
        """Record a run that ended; its counts include the items that failed."""
        self._add(job, counts)
        self._metrics.counter(JOB_RUNS, job, "succeeded").inc()
        self._metrics.histogram(JOB_TIME, job).observe(elapsed_s)
        self._metrics.gauge(JOB_SUCCEEDED_AT, job).set_to_current_time()

    def failed(self, job: str, elapsed_s: float) -> None:
        """Record a run that stopped with an error."""
        self._metrics.counter(JOB_RUNS, job, "failed").inc()
        self._metrics.histogram(JOB_TIME, job).observe(elapsed_s)

    def _add(self, job: str, counts: Mapping[str, int]) -> None:
        for kind, n in counts.items():
            self._metrics.counter(JOB_ITEMS, job, kind).inc(n)
