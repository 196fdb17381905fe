"""Accounts of end users: registration, login and logout, the own account, passwords and sessions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar.connection import Request
from litestar.params import FromPath
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
from smp.adapters.http.authentication import caller_of, user_agent_of
from smp.adapters.http.client_source import ClientSources
from smp.adapters.http.cookies import cookie_values, no_session_cookie, session_cookie
from smp.adapters.http.idempotency import IdempotencyKeys
from smp.adapters.http.middleware.access_log import name_account
from smp.adapters.http.operation import Operation
from smp.adapters.http.parameters import LIMIT, PAGING, AwareDatetime, CursorParameter, LimitParameter, session_id_of
from smp.adapters.http.rendered import respond
from smp.adapters.http.request_body import body_of
from smp.adapters.http.routing import Controller, delete, get, post, put
from smp.adapters.http.settings import HttpSettings
from smp.application.caller import ANONYMOUS
from smp.application.commands.change_password import ChangePassword
from smp.application.commands.log_in import LogIn
from smp.application.commands.log_out import LogOut
from smp.application.commands.register_user import RegisterUser
from smp.application.commands.revoke_session import RevokeSession
from smp.application.commands.revoke_sessions import RevokeSessions
from smp.application.execution import Handler
from smp.application.outcomes import UserOutcome
from smp.application.paging import Page, PageRequest
from smp.application.ports.session_reader import SessionPosition
from smp.application.queries.get_user import GetUser
from smp.application.queries.list_sessions import ListSessions
from smp.application.queries.views import SessionView
from smp.application.session_opening import OpenedSession


class AuthController(Controller):
    """The controller of registration, login and logout."""

    path = "/v1/auth"

    @post(
        "/register",
        Operation(
            id="register",
            idempotent=True,
            tag="auth",
            summary="Register an account",
            use_case=RegisterUser,
            request=RegisterIn,
            status=201,
            problems=("registration-closed", "email-taken", "validation-failed", "too-many-registrations", "busy"),
            response=UserOut,
        ),
    )
    async def register(
        self,
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[RegisterUser, UserOutcome]],
        keys: FromDishka[IdempotencyKeys],
        sources: FromDishka[ClientSources],
    ) -> Response[bytes]:
        """Create an account with the role `user`. It does not sign in: log in afterwards. An email can be used once."""
        body, caller = body_of(request, RegisterIn), caller_of(request)
        key = await keys.of(request, caller, body.email)
        command = RegisterUser(body.email, body.password, key, sources.of(request))
        return respond(user_answer(await handler(command, caller)))

    @post(
        "/login",
        Operation(
            id="logIn",
            response=UserOut,
            tag="auth",
            summary="Sign in",
            sets_cookie=True,
            use_case=LogIn,
            request=LoginIn,
            problems=("invalid-credentials", "too-many-attempts", "busy"),
        ),
    )
    async def log_in(
        self,
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[LogIn, OpenedSession]],
        settings: FromDishka[HttpSettings],
        sources: FromDishka[ClientSources],
    ) -> Response[UserOut]:
        """Start a session. The response sets its cookie, which a browser sends from then on; the token is nowhere else.

        Sessions that the request brought end. After too many failures, further attempts are refused for a while.
        """
        body = body_of(request, LoginIn)
        name_account(request.scope, body.email)
        command = LogIn(
            body.email,
            body.password,
            sources.of(request),
            user_agent_of(request),
            cookie_values(request.scope["headers"], settings.cookie_name),
        )
        opened = await handler(command, ANONYMOUS)
        return Response(UserOut.of(opened.user), headers={"set-cookie": session_cookie(settings, opened)})

    @post(
        "/logout",
        Operation(
            id="logOut",
            tag="auth",
            summary="Sign out",
            sets_cookie=True,
            use_case=LogOut,
            status=204,
        ),
    )
    async def log_out(
        self,
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[LogOut, None]],
        settings: FromDishka[HttpSettings],
    ) -> Response[None]:
        """End the session of this request on the server, and delete its cookie."""
        await handler(LogOut(), caller_of(request))
        return Response(None, headers={"set-cookie": no_session_cookie(settings)})


class MeController(Controller):
    """The controller of the account and sessions of the signed-in user."""

    path = "/v1/me"

    @get(
        "",
        Operation(
            id="getMe",
            response=UserOut,
            tag="auth",
            summary="Get the signed-in user",
            use_case=GetUser,
            about_caller=True,
        ),
    )
    async def get_me(self, request: Request[Any, Any, Any]) -> UserOut:
        """Return the account of the caller."""
        return UserOut.of(caller_of(request).known_user)

    @put(
        "/password",
        Operation(
            id="changePassword",
            tag="auth",
            summary="Change the password",
            sets_cookie=True,
            use_case=ChangePassword,
            about_caller=True,
            request=ChangePasswordIn,
            status=204,
            problems=("invalid-credentials", "too-many-attempts", "busy"),
        ),
    )
    async def change_password(
        self,
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[ChangePassword, OpenedSession]],
        settings: FromDishka[HttpSettings],
        sources: FromDishka[ClientSources],
    ) -> Response[None]:
        """Replace the password, after the current one was checked. All sessions of the user end.

        The response sets the cookie of a new session, which replaces the one of the request.
        """
        body = body_of(request, ChangePasswordIn)
        source, user_agent = sources.of(request), user_agent_of(request)
        command = ChangePassword(body.current_password, body.new_password, source, user_agent)
        opened = await handler(command, caller_of(request))
        return Response(None, headers={"set-cookie": session_cookie(settings, opened)})

    @get(
        "/sessions",
        Operation(
            id="listSessions",
            response=SessionsPage,
            tag="auth",
            summary="List your sessions",
            use_case=ListSessions,
            about_caller=True,
            query=PAGING,
        ),
    )
    async def list_sessions(
        self,
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[ListSessions, Page[SessionView, SessionPosition]]],
        limit: LimitParameter = LIMIT,
        cursor: CursorParameter = None,
    ) -> SessionsPage:
        """Return where the caller is signed in, newest first."""
        caller = caller_of(request)
        after = cursors.decode("sessions", cursor, tuple[AwareDatetime, UUID])
        page = await handler(ListSessions(caller.user_id, PageRequest(limit, after)), caller)
        return SessionsPage([SessionOut.of(item) for item in page.items], cursors.encode("sessions", page.next))

    @delete(
        "/sessions/{session_id:str}",
        Operation(
            id="endSession",
            tag="auth",
            summary="End one of your sessions",
            use_case=RevokeSession,
            about_caller=True,
            status=204,
            problems=("session-not-found",),
        ),
    )
    async def end_session(
        self,
        request: Request[Any, Any, Any],
        session_id: FromPath[str],
        handler: FromDishka[Handler[RevokeSession, None]],
    ) -> None:
        """Sign out one browser of the caller, at once."""
        caller = caller_of(request)
        await handler(RevokeSession(caller.user_id, session_id_of(session_id)), caller)

    @delete(
        "/sessions",
        Operation(
            id="endOtherSessions",
            tag="auth",
            summary="End your other sessions",
            use_case=RevokeSessions,
            about_caller=True,
            status=204,
        ),
    )
    async def end_other_sessions(
        self, request: Request[Any, Any, Any], handler: FromDishka[Handler[RevokeSessions, None]]
    ) -> None:
        """Sign out all browsers of the caller except this one, at once."""
        caller = caller_of(request)
        await handler(RevokeSessions(caller.user_id, keep_current=True), caller)


CONTROLLERS = (
    AuthController,
    MeController,
)
