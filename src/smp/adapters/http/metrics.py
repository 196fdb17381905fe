"""What Prometheus is told of the requests."""

from __future__ import annotations

import os
from typing import Final

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess

from smp.adapters.http.callers import Who

_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class RequestMetrics:
    """Counts answers by method, route template and status, and how long they took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._figures: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._requests = Counter(
            "smp_http_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self._latency = Histogram(
            "smp_http_request_duration_seconds",
            "Time from a request to its answer.",
            ("method", "route"),
            buckets=_BUCKETS_S,
            registry=registry,
        )

    def observe(self, method: str, route: str, status: int, elapsed_s: float) -> None:
        """One answer went out. Methods that no route has are counted together, for their names are the callers'."""
        key = (method if method in _METHODS else "other", route, status)
        figures = self._figures.get(key)
        if figures is None:
            # Looking labels up takes longer than counting; there are as many as routes and statuses, so they are kept.
            figures = self._requests.labels(key[0], route, str(status)), self._latency.labels(key[0], route)
            self._figures[key] = figures
        figures[0].inc()
        figures[1].observe(elapsed_s)

    def exposition(self) -> bytes:
        """All figures of this process, or of all workers where they share a folder, in the text format."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        shared = CollectorRegistry()
        multiprocess.MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        return generate_latest(shared)


_TEXT_FORMAT: Final = "text/plain; version=0.0.4"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def metrics_route(metrics: RequestMetrics) -> HTTPRouteHandler:
    """``GET /metrics``."""

    @get(
        "/metrics",
        operation_id="metrics",
        tags=["health"],
        summary="Figures for Prometheus",
        media_type="text/plain",
        opt={"who": Who.ANYONE},
    )
    async def exposition() -> Response[bytes]:
        """The text format."""
        return Response(content=metrics.exposition(), media_type=_TEXT_FORMAT)

    return exposition
