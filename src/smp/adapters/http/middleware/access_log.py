"""One log line and one observation for each request."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from logging import ERROR, INFO
from time import perf_counter
from typing import Final, Protocol

import structlog

from smp.adapters.http.middleware.context import RequestContext

LOGGED_PATH_MAX: Final = 1_024
"""The most characters of a path that a log line has."""

LOGGED_METHOD_MAX: Final = 32
_FIRST_ERROR_STATUS: Final = 400
_FIRST_FAILURE_STATUS: Final = 500
_log = structlog.stdlib.get_logger("smp.http")


class RequestObserver(Protocol):
    """A recorder of finished requests."""

    @abstractmethod
    def __call__(self, method: str, route: str, status: int, elapsed_s: float) -> None:
        """Record a response to a request of this method, for this route's template, after so many seconds."""


class AccessLog:
    """The observer and the log of finished requests."""

    def __init__(self, source: Callable[[], Awaitable[RequestObserver]]) -> None:
        """``source`` provides the observer; it is called once, at the first request."""
        self._source = source
        self.observer: RequestObserver | None = None

    async def connect(self) -> RequestObserver:
        """Get the observer, which :attr:`observer` has from then on."""
        self.observer = await self._source()
        return self.observer

    @staticmethod
    def record(context: RequestContext, observe: RequestObserver, *, errors_only: bool) -> None:
        """Observe a finished request and log it; with ``errors_only`` log it only where it failed.

        A request that ended without a response counts as status 500. The service's failures are logged as errors.
        """
        elapsed_s = perf_counter() - context.started_s
        scope = context.scope
        method = "HEAD" if context.is_head else scope["method"][:LOGGED_METHOD_MAX]
        status = context.status or 500
        route = scope.get("path_template") or "unmatched"
        observe(method, route, status, elapsed_s)
        if errors_only and status < _FIRST_ERROR_STATUS:
            return
        _log.log(
            ERROR if status >= _FIRST_FAILURE_STATUS else INFO,
            "request",
            method=method,
            route=route,
            path=scope["path"][:LOGGED_PATH_MAX],
            status=status,
            duration_ms=round(elapsed_s * 1000, 2),
        )
