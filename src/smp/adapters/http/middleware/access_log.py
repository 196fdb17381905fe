"""One log line and one observation for each request."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from hashlib import sha256
from logging import ERROR, INFO, WARNING
from time import perf_counter
from typing import Final, Protocol

import structlog
from litestar.types import HTTPScope

from smp.adapters.http.asgi import Scope
from smp.adapters.http.middleware.context import RequestContext
from smp.application.caller import ANONYMOUS, Caller
from smp.domain.user.user import email_key

LOGGED_PATH_MAX: Final = 1_024
"""The most characters of a path that a log line has."""

LOGGED_METHOD_MAX: Final = 32

_ACCOUNT: Final = "account"
_ACCOUNT_DIGEST_LENGTH: Final = 16
_PASSWORD_PATHS: Final = ("/v1/auth/", "/v1/me/password")
_SUSPICIOUS: Final = frozenset({401, 403, 429})
_FIRST_ERROR_STATUS: Final = 400
_FIRST_FAILURE_STATUS: Final = 500
_log = structlog.stdlib.get_logger("smp.http")


class RequestObserver(Protocol):
    """A recorder of requests."""

    @abstractmethod
    def began(self) -> None:
        """Record that a request began."""

    @abstractmethod
    def __call__(self, method: str, route: str, status: int, elapsed_s: float) -> None:
        """Record a response to a request of this method, for this route's template, after so many seconds."""


SourceOf = Callable[[Scope], str]
"""Returns the network address that a request is counted for."""


class AccessLog:
    """The observer and the log of finished requests."""

    def __init__(self, connect: Callable[[], Awaitable[tuple[RequestObserver, SourceOf]]]) -> None:
        """``connect`` provides the observer and the function for sources; it is called once, at the first request."""
        self._connect = connect
        self._source_of: SourceOf = _unknown
        self.observer: RequestObserver | None = None

    async def connect(self) -> RequestObserver:
        """Get the observer, which :attr:`observer` has from then on."""
        self.observer, self._source_of = await self._connect()
        return self.observer

    def record(self, context: RequestContext, observe: RequestObserver, *, errors_only: bool) -> None:
        """Observe a finished request and log it; with ``errors_only`` log it only where it failed.

        A request that ended without a response counts as status 500. The service's failures are logged as errors, and
        refusals of requests with a password as warnings.
        """
        elapsed_s = perf_counter() - context.started_s
        scope = context.scope
        method = "HEAD" if context.is_head else scope["method"][:LOGGED_METHOD_MAX]
        status = context.status or 500
        route = scope.get("path_template") or "unmatched"
        observe(method, route, status, elapsed_s)
        if errors_only and status < _FIRST_ERROR_STATUS:
            return
        state = scope["state"]
        account = {_ACCOUNT: state[_ACCOUNT]} if _ACCOUNT in state else {}
        caller: Caller = state.get("caller", ANONYMOUS)
        _log.log(
            _level(status, scope["path"]),
            "request",
            source=self._source_of(scope),
            actor=caller.label,
            **account,
            method=method,
            route=route,
            path=scope["path"][:LOGGED_PATH_MAX],
            status=status,
            duration_ms=round(elapsed_s * 1000, 2),
        )


def name_account(scope: Scope | HTTPScope, email: str) -> None:
    """Let the request's log line name the account that someone tries to sign in to, by a digest of its email.

    The same account has the same digest, so that attempts on it can be found; the email is in no line.
    """
    digest = sha256(email_key(email).encode("utf-8", "surrogatepass")).hexdigest()
    scope["state"][_ACCOUNT] = digest[:_ACCOUNT_DIGEST_LENGTH]


def _unknown(_scope: Scope) -> str:
    return ""


def _level(status: int, path: str) -> int:
    if status >= _FIRST_FAILURE_STATUS:
        return ERROR
    return WARNING if status in _SUSPICIOUS and path.startswith(_PASSWORD_PATHS) else INFO
