"""Authentication: the guard of all routes, and what it reads from cookies and headers."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from litestar.connection import ASGIConnection, Request
from litestar.handlers.base import BaseRouteHandler

from smp.adapters.http.cookies import cookie_values, session_cookie
from smp.adapters.http.operation import OPERATION, Operation
from smp.adapters.http.problems.rejection import FieldError, RequestRejected
from smp.adapters.http.request_body import decode_body
from smp.adapters.http.settings import HttpSettings
from smp.application.authorization import Audience
from smp.application.caller import ANONYMOUS, Caller
from smp.application.commands.renew_session_token import RenewSessionToken
from smp.application.errors import NotAuthenticated
from smp.application.execution import Handler
from smp.application.queries.authenticate import Authenticate
from smp.application.session_opening import OpenedSession

USER_AGENT_MAX: Final = 200

_RENEWED: Final = "renewed_session_cookie"
"""The key of the ``Set-Cookie`` value in the state of a request whose session got a new token."""


@dataclass(frozen=True, slots=True)
class RequestAuthenticator:
    """Finds the caller, and refuses those who may not use the operation before anything else is checked."""

    authenticate: Handler[Authenticate, Caller]
    cookie_name: str

    async def caller(
        self, headers: Sequence[tuple[bytes, bytes]], operation: Operation, state: MutableMapping[str, Any]
    ) -> Caller:
        """Return the caller, who may use the operation; an anonymous one if anyone may.

        ``state`` gets the authenticated caller, also one who is refused.

        Raises:
            NotAuthenticated, Forbidden: for every other caller.
        """
        for credentials in self._credentials(headers):
            try:
                caller = await self.authenticate(credentials, ANONYMOUS)
            except NotAuthenticated:
                continue
            state["caller"] = caller
            operation.authorize(caller)
            return caller
        if operation.permission.audience is not Audience.ANYONE:
            raise NotAuthenticated
        return ANONYMOUS

    def _credentials(self, headers: Sequence[tuple[bytes, bytes]]) -> Sequence[Authenticate]:
        """Return the API key of the request; if it has none, the tokens of its session cookies."""
        for name, value in headers:
            if name == b"authorization":
                scheme, _, secret = value.decode("latin-1").partition(" ")
                if scheme.lower() == "bearer":
                    return [Authenticate(api_key=secret.strip())]
        return [Authenticate(session_token=token) for token in cookie_values(headers, self.cookie_name)]


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Authorize the caller, check the names of the query's parameters, and decode the body, in this order.

    If the token of the session is outdated, it is renewed; :func:`send_renewed_token` adds it to the response.
    Every route has this guard, except those of the access area, which calls the authenticator itself.

    Raises:
        NotAuthenticated, Forbidden: if the caller may not use the operation.
        RequestRejected: for parameters that the operation does not have, and for a body that is not of its type.
    """
    if connection.scope.get("method") == "OPTIONS":
        return
    operation: Operation = handler.opt[OPERATION]
    state = connection.scope["state"]
    if not operation.is_public:
        container = connection.app.state.dishka_container
        request_authenticator = await container.get(RequestAuthenticator)
        caller = await request_authenticator.caller(connection.scope["headers"], operation, state)
        if caller.has_outdated_token:
            renewed = await (await container.get(Handler[RenewSessionToken, OpenedSession]))(
                RenewSessionToken(), caller
            )
            state[_RENEWED] = session_cookie(await container.get(HttpSettings), renewed)
    check_query(connection.scope["query_string"], operation.query, operation.repeatable)
    decode_body(operation, state)


async def send_renewed_token(message: Any, scope: Any) -> None:  # noqa: ANN401 - the union of all messages of ASGI
    """Add the cookie with the renewed token to any response, also to a problem, unless it sets the cookie itself."""
    cookie = scope["state"].get(_RENEWED)
    if cookie is None or message["type"] != "http.response.start":
        return
    if all(name != b"set-cookie" for name, _ in message["headers"]):
        message["headers"] = [*message["headers"], (b"set-cookie", cookie.encode())]


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    """Return the caller that the guard authorized; the anonymous one if the operation is public."""
    return cast("Caller", request.scope["state"].get("caller", ANONYMOUS))


def user_agent_of(request: Request[Any, Any, Any]) -> str:
    """What the browser calls itself, cut to a sane length."""
    return request.headers.get("user-agent", "")[:USER_AGENT_MAX]


def check_query(query: bytes, known: tuple[str, ...], repeatable: tuple[str, ...]) -> None:
    """Let a query pass that names only what the route knows, each once, all of it text.

    Raises:
        RequestRejected: naming every parameter that is not so.
    """
    if not query:
        return
    try:
        names = [
            name for name, value in parse_qsl(query.decode(), keep_blank_values=True, errors="strict") if _text(value)
        ]
    except ValueError:
        raise RequestRejected("invalid-parameter", "the query is not text in UTF-8 without NUL") from None
    errors = [
        FieldError(f"/{name}", "is not a parameter of this endpoint")
        for name in dict.fromkeys(names)
        if name not in known
    ]
    errors += [
        FieldError(f"/{name}", "is given more than once")
        for name in dict.fromkeys(names)
        if name in known and name not in repeatable and names.count(name) > 1
    ]
    if errors:
        raise RequestRejected("invalid-parameter", "a parameter is unknown or repeated", errors=tuple(errors))


def _text(value: str) -> bool:
    if "\x00" in value:
        raise ValueError(value)
    return True
