"""Accounts of all users, for administrators."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar.connection import Request
from litestar.params import FromPath, QueryParameter
from msgspec import UNSET

from smp.adapters.http.api import cursors
from smp.adapters.http.api.auth.schemas import SessionOut, SessionsPage, UserOut
from smp.adapters.http.api.users.schemas import UserPatchIn, UsersPage
from smp.adapters.http.authentication import caller_of
from smp.adapters.http.operation import Operation
from smp.adapters.http.parameters import (
    LIMIT,
    PAGING,
    AwareDatetime,
    CursorParameter,
    LimitParameter,
    session_id_of,
    user_id_of,
)
from smp.adapters.http.request_body import body_of
from smp.adapters.http.routing import Controller, delete, get, patch
from smp.application.commands.revoke_session import RevokeSession
from smp.application.commands.revoke_sessions import RevokeSessions
from smp.application.commands.update_user_access import UpdateUserAccess
from smp.application.execution import Handler
from smp.application.outcomes import UserOutcome
from smp.application.paging import Page, PageRequest
from smp.application.ports.session_reader import SessionPosition
from smp.application.ports.user_reader import UserPosition
from smp.application.queries.get_user import GetUser
from smp.application.queries.list_sessions import ListSessions
from smp.application.queries.list_users import ListUsers
from smp.application.queries.views import SessionView, UserView


class UserController(Controller):
    """The controller of accounts."""

    path = "/v1/users"

    @get(
        "",
        Operation(
            id="listUsers",
            response=UsersPage,
            tag="users",
            summary="List users",
            use_case=ListUsers,
            query=("email", *PAGING),
        ),
    )
    async def list_users(
        self,
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[ListUsers, Page[UserView, UserPosition]]],
        email: Annotated[
            str,
            QueryParameter(
                name="email", max_length=320, description="Those whose email starts with this text; case is ignored."
            ),
        ] = "",
        limit: LimitParameter = LIMIT,
        cursor: CursorParameter = None,
    ) -> UsersPage:
        """Return the accounts, ordered by email."""
        after = cursors.decode("users", cursor, tuple[str])
        page = await handler(ListUsers(email, PageRequest(limit, after)), caller_of(request))
        return UsersPage([UserOut.of(item) for item in page.items], cursors.encode("users", page.next))

    @get(
        "/{user_id:str}",
        Operation(
            id="getUser",
            response=UserOut,
            tag="users",
            summary="Get a user",
            use_case=GetUser,
            problems=("user-not-found",),
        ),
    )
    async def get_user(
        self, request: Request[Any, Any, Any], user_id: FromPath[str], handler: FromDishka[Handler[GetUser, UserView]]
    ) -> UserOut:
        """Return the account of a user."""
        return UserOut.of(await handler(GetUser(user_id_of(user_id)), caller_of(request)))

    @patch(
        "/{user_id:str}",
        Operation(
            id="changeUser",
            response=UserOut,
            tag="users",
            summary="Change a user's role, or disable the user",
            use_case=UpdateUserAccess,
            request=UserPatchIn,
            problems=("user-not-found", "last-admin"),
        ),
    )
    async def change_user(
        self,
        request: Request[Any, Any, Any],
        user_id: FromPath[str],
        handler: FromDishka[Handler[UpdateUserAccess, UserOutcome]],
    ) -> UserOut:
        """Change the members that are sent. The change applies to the user's next request.

        Disabling ends all sessions of the user. It is refused for the last administrator.
        """
        body = body_of(request, UserPatchIn)
        command = UpdateUserAccess(
            user_id_of(user_id),
            None if body.role is UNSET else body.role,
            None if body.disabled is UNSET else body.disabled,
        )
        return UserOut.of((await handler(command, caller_of(request))).user)

    @get(
        "/{user_id:str}/sessions",
        Operation(
            id="listSessionsOfUser",
            response=SessionsPage,
            tag="users",
            summary="List the sessions of a user",
            use_case=ListSessions,
            query=PAGING,
            problems=("user-not-found",),
        ),
    )
    async def list_sessions_of_user(
        self,
        request: Request[Any, Any, Any],
        user_id: FromPath[str],
        handler: FromDishka[Handler[ListSessions, Page[SessionView, SessionPosition]]],
        limit: LimitParameter = LIMIT,
        cursor: CursorParameter = None,
    ) -> SessionsPage:
        """Return where the user is signed in, newest first."""
        after = cursors.decode("sessions", cursor, tuple[AwareDatetime, UUID])
        query = ListSessions(user_id_of(user_id), PageRequest(limit, after))
        page = await handler(query, caller_of(request))
        return SessionsPage([SessionOut.of(item) for item in page.items], cursors.encode("sessions", page.next))

    @delete(
        "/{user_id:str}/sessions/{session_id:str}",
        Operation(
            id="endSessionOfUser",
            tag="users",
            summary="End a session of a user",
            use_case=RevokeSession,
            status=204,
            problems=("user-not-found", "session-not-found"),
        ),
    )
    async def end_session_of_user(
        self,
        request: Request[Any, Any, Any],
        user_id: FromPath[str],
        session_id: FromPath[str],
        handler: FromDishka[Handler[RevokeSession, None]],
    ) -> None:
        """Sign out one browser of the user, at once."""
        session = session_id_of(session_id)
        await handler(RevokeSession(user_id_of(user_id), session), caller_of(request))

    @delete(
        "/{user_id:str}/sessions",
        Operation(
            id="endSessionsOfUser",
            tag="users",
            summary="End all sessions of a user",
            use_case=RevokeSessions,
            status=204,
            problems=("user-not-found",),
        ),
    )
    async def end_sessions_of_user(
        self,
        request: Request[Any, Any, Any],
        user_id: FromPath[str],
        handler: FromDishka[Handler[RevokeSessions, None]],
    ) -> None:
        """Sign out all browsers of the user, at once."""
        await handler(RevokeSessions(user_id_of(user_id)), caller_of(request))


CONTROLLERS = (UserController,)
