"""The hot path: a router that only has the access question.

Plain ASGI with handlers that are made once, because this question is asked thousands of times a second. What each
layer costs is in docs/performance.md.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import msgspec

from smp.adapters.http import wire
from smp.adapters.http.access.endpoint import AccessEndpoint
from smp.adapters.http.access.schemas import AccessOut, AllAccessOut
from smp.adapters.http.asgi import Receive, Scope, Send, send_response
from smp.adapters.http.authentication import check_query
from smp.adapters.http.operation import Operation
from smp.adapters.http.problems.rejection import RequestRejected
from smp.application.queries.check_access import CheckAccess
from smp.application.queries.list_access import ListAccess

Handle = Callable[..., Awaitable[wire.ResponseModel]]
"""A bound method of the endpoint: takes the caller and the parameters of the path."""


_CHECK: Final = (
    "Return whether the user may use the feature, with its value and the reason. A denial is 200 with"
    " `allowed` = `false`, also for a feature that no plan has. `until` is when time alone can change the answer."
)
_LIST: Final = "Return every feature of the user's live subscription with its value; none without a live subscription."
_OF_USER: Final = ("invalid-parameter", "user-not-found")

OPERATIONS: Final[Mapping[str, Operation]] = MappingProxyType(
    {
        "/v1/me/access": Operation(
            id="listAccess",
            tag="access",
            summary="List the features that you may use now",
            description=_LIST,
            use_case=ListAccess,
            about_caller=True,
            response=AllAccessOut,
            problems=("invalid-parameter",),
        ),
        "/v1/me/access/{feature}": Operation(
            id="checkAccess",
            tag="access",
            summary="Check whether you may use a feature now",
            description=_CHECK,
            use_case=CheckAccess,
            about_caller=True,
            response=AccessOut,
            problems=("invalid-parameter",),
        ),
        "/v1/users/{user_id}/access": Operation(
            id="listAccessOfUser",
            tag="access",
            summary="List the features that a user may use now",
            description=_LIST,
            use_case=ListAccess,
            response=AllAccessOut,
            problems=_OF_USER,
        ),
        "/v1/users/{user_id}/access/{feature}": Operation(
            id="checkAccessOfUser",
            tag="access",
            summary="Check whether a user may use a feature now",
            description=_CHECK,
            use_case=CheckAccess,
            response=AccessOut,
            problems=_OF_USER,
        ),
    }
)
"""The operations by their paths."""

_HOLDS: Final = re.compile(r"/v1/(?:me|users/[^/]+)/access(?:/[^/]+)?/?")
_ALLOW: Final = "GET, HEAD, OPTIONS"


def holds(path: str) -> bool:
    """Whether a path asks the access question."""
    return "/access" in path and _HOLDS.fullmatch(path) is not None


@dataclass(frozen=True, slots=True)
class _Route:
    """One path: its pattern, its operation, and the method of the endpoint that serves it."""

    path: str
    pattern: re.Pattern[str]
    operation: Operation
    handle: Handle

    @classmethod
    def of(cls, path: str, handle: Handle) -> _Route:
        """Make the route of a path of :data:`OPERATIONS`; a slash at the end of a request's path is ignored."""
        pattern = re.compile(re.sub(r"{\w+}", "([^/]+)", path) + "/?")
        return cls(path, pattern, OPERATIONS[path], handle)


class AccessApp:
    """The ASGI application of the access question."""

    def __init__(self, source: Callable[[], Awaitable[AccessEndpoint]]) -> None:
        """``source`` provides the endpoint; it is called once, at the first request."""
        self._source = source
        self._endpoint: AccessEndpoint | None = None
        self._routes: Sequence[_Route] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the signature of ASGI
        """Serve one request to a path that :func:`holds`. Raises what the use cases refuse."""
        endpoint = self._endpoint or await self._connect()
        route, parameters = self._route_of(scope["path"])
        scope["path_template"] = route.path
        if scope["method"] == "OPTIONS":
            await send_response(send, 204, [(b"allow", _ALLOW.encode())], b"")
            return
        if scope["method"] != "GET":
            raise RequestRejected("method-not-allowed", "ask for access with GET", headers={"allow": _ALLOW})
        caller = await endpoint.request_authenticator.caller(scope["headers"], route.operation, scope["state"])
        check_query(scope["query_string"], (), ())
        document = await route.handle(caller, *parameters)
        await send_response(send, 200, [(b"content-type", b"application/json")], msgspec.json.encode(document))

    def _route_of(self, path: str) -> tuple[_Route, tuple[str, ...]]:
        for route in self._routes:
            match = route.pattern.fullmatch(path)
            if match is not None:
                return route, match.groups()
        raise RequestRejected("not-found", "no endpoint has this path")

    async def _connect(self) -> AccessEndpoint:
        endpoint = await self._source()
        # The most frequent first.
        self._routes = (
            _Route.of("/v1/me/access/{feature}", endpoint.check_own),
            _Route.of("/v1/users/{user_id}/access/{feature}", endpoint.check_of_user),
            _Route.of("/v1/me/access", endpoint.list_own),
            _Route.of("/v1/users/{user_id}/access", endpoint.list_of_user),
        )
        self._endpoint = endpoint
        return endpoint
