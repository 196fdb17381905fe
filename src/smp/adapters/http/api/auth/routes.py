"""Accounts of end users: register, sign in and out, who am I, passwords and sessions."""

from __future__ import annotations

from typing import Any

from dishka.integrations.litestar import FromDishka
from litestar import delete, get, post, put
from litestar.connection import Request
from litestar.params import FromPath, JSONBody
from litestar.response import Response

from smp.adapters.http.api import cursors
from smp.adapters.http.api.answers import user_answer
from smp.adapters.http.api.auth.schemas import (
    ChangePasswordIn,
    LoginIn,
    RegisterIn,
    SessionOut,
    SessionsPage,
    UserOut,
)
from smp.adapters.http.authentication import Who, caller_of, source_of, user_agent_of
from smp.adapters.http.idempotency import IdempotencyKeys
from smp.adapters.http.parameters import LIMIT, PAGING, AwareDatetime, CursorParameter, LimitParameter, uuid_or_none
from smp.adapters.http.rendered import respond
from smp.adapters.http.settings import HttpSettings
from smp.application.caller import ANONYMOUS
from smp.application.commands.change_password import ChangePassword
from smp.application.commands.log_in import LoggedIn, LogIn
from smp.application.commands.log_out import LogOut
from smp.application.commands.register_user import RegisterUser
from smp.application.commands.revoke_session import RevokeSession
from smp.application.commands.revoke_sessions import RevokeSessions
from smp.application.execution import Handler
from smp.application.outcomes import UserOutcome
from smp.application.paging import Page, PageRequest
from smp.application.ports.session_reader import SessionPosition
from smp.application.queries.list_sessions import ListSessions
from smp.application.queries.views import SessionView
from smp.domain.errors import SessionNotFound


@post(
    "/v1/auth/register",
    operation_id="register",
    tags=["auth"],
    summary="Make an account",
    opt={"who": Who.ANYONE, "problems": ("email-taken", "validation-failed", "busy"), "answers": UserOut},
)
async def register(
    request: Request[Any, Any, Any],
    data: JSONBody[RegisterIn],
    handler: FromDishka[Handler[RegisterUser, UserOutcome]],
    keys: FromDishka[IdempotencyKeys],
) -> Response[bytes]:
    """Make an account; it does not sign in."""
    key = await keys.of(request, ANONYMOUS)
    return respond(user_answer(await handler(RegisterUser(data.email, data.password, key), ANONYMOUS)))


@post(
    "/v1/auth/login",
    status_code=200,
    operation_id="logIn",
    tags=["auth"],
    summary="Sign in",
    opt={"who": Who.ANYONE, "problems": ("invalid-credentials", "too-many-attempts", "busy")},
)
async def log_in(
    request: Request[Any, Any, Any],
    data: JSONBody[LoginIn],
    handler: FromDishka[Handler[LogIn, LoggedIn]],
    settings: FromDishka[HttpSettings],
) -> Response[UserOut]:
    """Start a session; the token is in the cookie and nowhere else. A session that the client brought ends."""
    command = LogIn(
        data.email,
        data.password,
        source_of(request, settings.trusted_proxies),
        user_agent_of(request),
        request.cookies.get(settings.cookie_name),
    )
    logged_in = await handler(command, ANONYMOUS)
    max_age_s = int((logged_in.expires_at - logged_in.started_at).total_seconds())
    return Response(UserOut.of(logged_in.user), headers={"set-cookie": _cookie(settings, logged_in.token, max_age_s)})


@post(
    "/v1/auth/logout",
    status_code=204,
    operation_id="logOut",
    tags=["auth"],
    summary="Sign out",
    opt={"who": Who.SESSION},
)
async def log_out(
    request: Request[Any, Any, Any], handler: FromDishka[Handler[LogOut, None]], settings: FromDishka[HttpSettings]
) -> Response[None]:
    """End this session on the server and clear the cookie."""
    await handler(LogOut(), caller_of(request))
    return Response(None, headers={"set-cookie": _cookie(settings, "", 0)})


@get("/v1/me", operation_id="getMe", tags=["auth"], summary="Who am I?", opt={"who": Who.SESSION})
async def get_me(request: Request[Any, Any, Any]) -> UserOut:
    """The signed-in user."""
    return UserOut.of(caller_of(request).known_user)


@put(
    "/v1/me/password",
    status_code=204,
    operation_id="changePassword",
    tags=["auth"],
    summary="Change one's password",
    opt={"who": Who.SESSION, "problems": ("invalid-credentials", "too-many-attempts", "busy")},
)
async def change_password(
    request: Request[Any, Any, Any],
    data: JSONBody[ChangePasswordIn],
    handler: FromDishka[Handler[ChangePassword, None]],
    settings: FromDishka[HttpSettings],
) -> None:
    """Change it; every other session of the user ends."""
    source = source_of(request, settings.trusted_proxies)
    await handler(ChangePassword(data.current_password, data.new_password, source), caller_of(request))


@get(
    "/v1/me/sessions",
    operation_id="listSessions",
    tags=["auth"],
    summary="Where am I signed in?",
    opt={"who": Who.SESSION, "query": PAGING},
)
async def list_sessions(
    request: Request[Any, Any, Any],
    handler: FromDishka[Handler[ListSessions, Page[SessionView, SessionPosition]]],
    limit: LimitParameter = LIMIT,
    cursor: CursorParameter = None,
) -> SessionsPage:
    """The caller's sessions, newest first."""
    caller = caller_of(request)
    after = cursors.decode("sessions", cursor, tuple[AwareDatetime, cursors.Id])
    page = await handler(ListSessions(caller.user_id, PageRequest(limit, after)), caller)
    return SessionsPage([SessionOut.of(item) for item in page.items], cursors.encode("sessions", page.next))


@delete(
    "/v1/me/sessions/{session_id:str}",
    operation_id="endSession",
    tags=["auth"],
    summary="Sign out another browser",
    opt={"who": Who.SESSION, "problems": ("session-not-found",)},
)
async def end_session(
    request: Request[Any, Any, Any], session_id: FromPath[str], handler: FromDishka[Handler[RevokeSession, None]]
) -> None:
    """End one of the caller's sessions."""
    parsed = uuid_or_none(session_id)
    if parsed is None:
        raise SessionNotFound(session_id)
    caller = caller_of(request)
    await handler(RevokeSession(caller.user_id, parsed), caller)


@delete(
    "/v1/me/sessions",
    operation_id="endOtherSessions",
    tags=["auth"],
    summary="Sign out every other browser",
    opt={"who": Who.SESSION},
)
async def end_other_sessions(
    request: Request[Any, Any, Any], handler: FromDishka[Handler[RevokeSessions, None]]
) -> None:
    """End all of the caller's sessions but this one."""
    caller = caller_of(request)
    await handler(RevokeSessions(caller.user_id, keep_current=True), caller)


def _cookie(settings: HttpSettings, token: str, max_age_s: int) -> str:
    """RFC 6265bis, section 4.1.2; a token of ours holds nothing that would need quoting."""
    secure = "; Secure" if settings.secure else ""
    return f"{settings.cookie_name}={token}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}"


ROUTES = (
    register,
    log_in,
    log_out,
    get_me,
    change_password,
    list_sessions,
    end_session,
    end_other_sessions,
)
