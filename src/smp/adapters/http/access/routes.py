"""May this user use this feature now?

The hot path: plain ASGI that holds its use cases, for whatever is made for a request here is made thousands of times
a second. What each layer costs is in docs/performance.md.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from smp.adapters.http import wire
from smp.adapters.http.access.schemas import AccessOut, AllAccessOut
from smp.adapters.http.authentication import RequestAuthenticator, Who, check_query
from smp.adapters.http.edge import App, Receive, Scope, Send
from smp.adapters.http.parameters import bad_parameter, uuid_or_none
from smp.adapters.http.problems import RequestRejected
from smp.application.caller import Caller
from smp.application.queries.check_access import CheckAccess, CheckAccessHandler
from smp.application.queries.get_user import GetUser, GetUserHandler
from smp.application.queries.list_access import ListAccess, ListAccessHandler
from smp.domain.errors import UserNotFound
from smp.domain.features import is_feature_key

Answering = Callable[["Gate", Caller, UUID, str], Awaitable[wire.ResponseModel]]


@dataclass(frozen=True, slots=True)
class Gate:
    """What the access question is answered with; made once."""

    request_authenticator: RequestAuthenticator
    check_access: CheckAccessHandler
    list_access: ListAccessHandler
    get_user: GetUserHandler

    async def one(self, caller: Caller, user_id: UUID, feature: str) -> AccessOut:
        """Whether the feature may be used; also where it is denied this is an answer, not an error."""
        if not is_feature_key(feature):
            raise bad_parameter("feature", "must be a key of a-z, 0-9, _ . - that begins with a letter")
        decision = await self.check_access(CheckAccess(user_id, feature))
        if decision.status is None:
            await self._check_user(caller, user_id)
        return AccessOut.of(feature, decision)

    async def all(self, caller: Caller, user_id: UUID, _: str) -> AllAccessOut:
        """Everything that may be used."""
        view = await self.list_access(ListAccess(user_id))
        if view.status is None:
            await self._check_user(caller, user_id)
        return AllAccessOut.of(view)

    async def _check_user(self, caller: Caller, user_id: UUID) -> None:
        """Who never subscribed may not exist at all: UserNotFound then. The caller itself does exist."""
        if caller.actor.id != user_id:
            await self.get_user(GetUser(user_id))


@dataclass(frozen=True, slots=True)
class AccessRoute:
    """One path of the gate, with all that its documentation says of it."""

    path: str
    operation_id: str
    summary: str
    who: Who
    answering: Answering
    answers: type[wire.ResponseModel]
    problems: tuple[str, ...] = ("invalid-parameter",)


_OF_USER: Final = ("invalid-parameter", "user-not-found")

ROUTES: Final = (
    AccessRoute("/v1/me/access", "listAccess", "Everything that may be used now", Who.SESSION, Gate.all, AllAccessOut),
    AccessRoute(
        "/v1/me/access/{feature}", "checkAccess", "May this feature be used now?", Who.SESSION, Gate.one, AccessOut
    ),
    AccessRoute(
        "/v1/users/{user_id}/access",
        "listAccessOfUser",
        "Everything that a user may use now",
        Who.ADMIN_OR_SERVICE,
        Gate.all,
        AllAccessOut,
        _OF_USER,
    ),
    AccessRoute(
        "/v1/users/{user_id}/access/{feature}",
        "checkAccessOfUser",
        "May a user use this feature now?",
        Who.ADMIN_OR_SERVICE,
        Gate.one,
        AccessOut,
        _OF_USER,
    ),
)

_PATH: Final = re.compile(r"/v1/(?:me|users/(?P<user_id>[^/]+))/access(?:/(?P<feature>[^/]+))?/?")
_BY_PARAMETERS: Final = {("user_id" in route.path, "feature" in route.path): route for route in ROUTES}
_ALLOW: Final = "GET, HEAD, OPTIONS"


class AccessApp:
    """Answers the access question itself and passes everything else on to ``app``."""

    def __init__(self, app: App, source: Callable[[], Awaitable[Gate]]) -> None:
        """``source`` gives the gate, the same one every time."""
        self._app = app
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection. Raises what the use cases refuse."""
        match = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if match is None:
            await self._app(scope, receive, send)
            return
        user_id, feature = match.groups()
        route = _BY_PARAMETERS[user_id is not None, feature is not None]
        scope["path_template"] = route.path
        if scope["method"] == "OPTIONS":
            await _send(send, 204, b"", (b"allow", _ALLOW.encode()))
            return
        if scope["method"] != "GET":
            raise RequestRejected(
                "method-not-allowed", "the access question is asked with GET", headers={"allow": _ALLOW}
            )
        gate = await self._source()
        caller = await gate.request_authenticator.caller(scope["headers"], route.who)
        check_query(scope["query_string"], (), ())
        subject = caller.user_id if user_id is None else _named(user_id)
        document = await route.answering(gate, caller, subject, feature or "")
        await _send(send, 200, msgspec.json.encode(document), (b"content-type", b"application/json"))


async def _send(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _named(text: str) -> UUID:
    user_id = uuid_or_none(text)
    if user_id is None:
        raise UserNotFound(text)
    return user_id
