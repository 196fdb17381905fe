"""The hot path: a router that only has the access question.

Plain ASGI with handlers that are made once, because this question is asked thousands of times a second. What each
layer costs is in docs/performance.md.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from smp.adapters.http import wire
from smp.adapters.http.access.endpoint import AccessEndpoint
from smp.adapters.http.access.schemas import AccessOut, AllAccessOut
from smp.adapters.http.asgi import Receive, Scope, Send, send_response
from smp.adapters.http.authentication import Who, check_query
from smp.adapters.http.problems import RequestRejected

Handle = Callable[..., Awaitable[wire.ResponseModel]]
"""A bound method of the endpoint: takes the caller and the parameters of the path."""


@dataclass(frozen=True, slots=True)
class AccessRoute:
    """One path, with all that its documentation says of it."""

    path: str
    operation_id: str
    summary: str
    who: Who
    answers: type[wire.ResponseModel]
    problems: tuple[str, ...] = ("invalid-parameter",)

    @property
    def pattern(self) -> re.Pattern[str]:
        """The paths of this route; a slash at the end is ignored."""
        return re.compile(re.sub(r"{\w+}", "([^/]+)", self.path) + "/?")


_OF_USER: Final = ("invalid-parameter", "user-not-found")

CHECK_OWN: Final = AccessRoute(
    "/v1/me/access/{feature}", "checkAccess", "May this feature be used now?", Who.SESSION, AccessOut
)
CHECK_OF_USER: Final = AccessRoute(
    "/v1/users/{user_id}/access/{feature}",
    "checkAccessOfUser",
    "May a user use this feature now?",
    Who.ADMIN_OR_SERVICE,
    AccessOut,
    _OF_USER,
)
LIST_OWN: Final = AccessRoute(
    "/v1/me/access", "listAccess", "Everything that may be used now", Who.SESSION, AllAccessOut
)
LIST_OF_USER: Final = AccessRoute(
    "/v1/users/{user_id}/access",
    "listAccessOfUser",
    "Everything that a user may use now",
    Who.ADMIN_OR_SERVICE,
    AllAccessOut,
    _OF_USER,
)
ROUTES: Final = (CHECK_OWN, CHECK_OF_USER, LIST_OWN, LIST_OF_USER)
"""The most frequent first."""

_HOLDS: Final = re.compile("|".join(route.pattern.pattern for route in ROUTES))
_ALLOW: Final = "GET, HEAD, OPTIONS"


def holds(path: str) -> bool:
    """Whether a path asks the access question."""
    return "/access" in path and _HOLDS.fullmatch(path) is not None


class AccessApp:
    """The ASGI application of the access question."""

    def __init__(self, source: Callable[[], Awaitable[AccessEndpoint]]) -> None:
        """``source`` provides the endpoint; it is called once, at the first request."""
        self._source = source
        self._endpoint: AccessEndpoint | None = None
        self._routes: Sequence[tuple[re.Pattern[str], AccessRoute, Handle]] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the signature of ASGI
        """Serve one request to a path that :func:`holds`. Raises what the use cases refuse."""
        endpoint = self._endpoint or await self._connect()
        route, handle, parameters = self._route_of(scope["path"])
        scope["path_template"] = route.path
        if scope["method"] == "OPTIONS":
            await send_response(send, 204, [(b"allow", _ALLOW.encode())], b"")
            return
        if scope["method"] != "GET":
            raise RequestRejected("method-not-allowed", "ask for access with GET", headers={"allow": _ALLOW})
        caller = await endpoint.request_authenticator.caller(scope["headers"], route.who)
        check_query(scope["query_string"], (), ())
        document = await handle(caller, *parameters)
        await send_response(send, 200, [(b"content-type", b"application/json")], msgspec.json.encode(document))

    def _route_of(self, path: str) -> tuple[AccessRoute, Handle, tuple[str, ...]]:
        for pattern, route, handle in self._routes:
            match = pattern.fullmatch(path)
            if match is not None:
                return route, handle, match.groups()
        raise RequestRejected("not-found", "no endpoint has this path")

    async def _connect(self) -> AccessEndpoint:
        endpoint = await self._source()
        self._routes = [
            (route.pattern, route, handle)
            for route, handle in (
                (CHECK_OWN, endpoint.check_own),
                (CHECK_OF_USER, endpoint.check_of_user),
                (LIST_OWN, endpoint.list_own),
                (LIST_OF_USER, endpoint.list_of_user),
            )
        ]
        self._endpoint = endpoint
        return endpoint
