"""Those who hear of what happens, and count it."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

from smp.adapters.prometheus.definitions import (
    ACCESS_DECISIONS,
    DATABASE_ERRORS,
    METHODS,
    POOL_TIMEOUTS,
    POOL_WAIT,
    REPLICA_READS,
    REQUEST_TIME,
    REQUESTS,
    SWEEPS,
    SWEPT,
    SWEPT_AT,
)
from smp.adapters.prometheus.metrics import Metrics
from smp.application.expiry import SweepOutcome
from smp.domain.access import AccessDecision, Reason

_METHODS: Final = frozenset(METHODS)


class RequestMetrics:
    """Counts answers by method, route template and status, and how long they took."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def __call__(self, method: str, route: str, status: int, elapsed_s: float) -> None:
        """One answer went out. Methods that no route has are counted together, for their names are the callers'."""
        series = self._series.get((method, route, status))
        if series is None:
            series = self._first(method if method in _METHODS else "other", route, status)
        series[0].inc()
        series[1].observe(elapsed_s)

    def _first(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        """Looking labels up takes longer than counting; there are as many as routes and statuses, so they are kept."""
        series = (
            self._metrics.counter(REQUESTS, method, route, str(status)),
            self._metrics.histogram(REQUEST_TIME, method, route),
        )
        return self._series.setdefault((method, route, status), series)


class PoolMetrics:
    """Counts what happens in a pool of connections."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._wait = metrics.histogram(POOL_WAIT)
        self._timeouts = metrics.counter(POOL_TIMEOUTS)

    def acquired(self, waited_s: float) -> None:
        """A connection was given out so long after it was asked for."""
        self._wait.observe(waited_s)

    def exhausted(self) -> None:
        """None came free in time."""
        self._timeouts.inc()

    def failed(self, kind: str) -> None:
        """A statement, or the opening of a connection, failed in this way."""
        self._metrics.counter(DATABASE_ERRORS, kind).inc()


class ReplicaMetrics:
    """Counts reads that may be a little stale, by who answered them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def read(self, outcome: str) -> None:
        """A read was answered; by the primary unless the outcome says otherwise."""
        self._metrics.counter(REPLICA_READS, outcome).inc()

    def seen(self, lag_s: float | None) -> None:
        """The replica was looked at; its lag is told as other states are, by who looks at them."""


class AccessMetrics:
    """Counts access decisions by their reason."""

    def __init__(self, metrics: Metrics) -> None:
        self._decisions = {reason: metrics.counter(ACCESS_DECISIONS, reason) for reason in Reason}

    def __call__(self, decision: AccessDecision) -> None:
        """One decision was made."""
        self._decisions[decision.reason].inc()


class ExpiryMetrics:
    """Counts sweeps and what they ended."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._swept_at = metrics.gauge(SWEPT_AT)

    def swept(self, outcome: SweepOutcome) -> None:
        """One went through; rows that could not be ended are part of it."""
        for word, n in (
            ("expired", outcome.expired),
            ("cancelled", outcome.cancelled),
            ("failed", len(outcome.failed)),
        ):
            self._metrics.counter(SWEPT, word).inc(n)
        self._metrics.counter(SWEEPS, "succeeded").inc()
        self._swept_at.set_to_current_time()

    def failed(self) -> None:
        """One was broken off."""
        self._metrics.counter(SWEEPS, "failed").inc()
