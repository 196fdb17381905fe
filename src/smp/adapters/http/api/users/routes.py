"""Accounts, for administrators."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import delete, get, patch
from litestar.connection import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET

from smp.adapters.http.api import cursors
from smp.adapters.http.api.auth.schemas import SessionOut, SessionsPage, UserOut
from smp.adapters.http.api.subjects import USER
from smp.adapters.http.api.users.schemas import UserPatchIn, UsersPage
from smp.adapters.http.authentication import Who, caller_of
from smp.adapters.http.parameters import LIMIT, PAGING, AwareDatetime, CursorParameter, LimitParameter, uuid_or_none
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
from smp.domain.errors import SessionNotFound


@get(
    "/v1/users",
    operation_id="listUsers",
    tags=["users"],
    summary="Accounts by email",
    opt={"who": Who.ADMIN, "query": ("email", *PAGING)},
)
async def list_users(
    request: Request[Any, Any, Any],
    handler: FromDishka[Handler[ListUsers, Page[UserView, UserPosition]]],
    email: Annotated[
        str, QueryParameter(name="email", max_length=320, description="How the email begins, without regard to case.")
    ] = "",
    limit: LimitParameter = LIMIT,
    cursor: CursorParameter = None,
) -> UsersPage:
    """All accounts, or those whose email begins so."""
    after = cursors.decode("users", cursor, tuple[str])
    page = await handler(ListUsers(email, PageRequest(limit, after)), caller_of(request))
    return UsersPage([UserOut.of(item) for item in page.items], cursors.encode("users", page.next))


@get(
    "/v1/users/{user_id:str}",
    operation_id="getUser",
    tags=["users"],
    summary="Look at an account",
    opt={"who": Who.ADMIN, "problems": ("user-not-found",)},
)
async def get_user(
    request: Request[Any, Any, Any], user_id: FromPath[str], handler: FromDishka[Handler[GetUser, UserView]]
) -> UserOut:
    """The account."""
    return UserOut.of(await handler(GetUser(_subject(request, user_id)), caller_of(request)))


@patch(
    "/v1/users/{user_id:str}",
    operation_id="changeUser",
    tags=["users"],
    summary="Change what a user may do",
    opt={"who": Who.ADMIN, "problems": ("user-not-found", "last-admin")},
)
async def change_user(
    request: Request[Any, Any, Any],
    user_id: FromPath[str],
    data: JSONBody[UserPatchIn],
    handler: FromDishka[Handler[UpdateUserAccess, UserOutcome]],
) -> UserOut:
    """Works on that user's very next request; disabling ends all of the user's sessions."""
    command = UpdateUserAccess(
        _subject(request, user_id),
        None if data.role is UNSET else data.role,
        None if data.disabled is UNSET else data.disabled,
    )
    return UserOut.of((await handler(command, caller_of(request))).user)


@get(
    "/v1/users/{user_id:str}/sessions",
    operation_id="listSessionsOfUser",
    tags=["users"],
    summary="Where a user is signed in",
    opt={"who": Who.ADMIN, "query": PAGING, "problems": ("user-not-found",)},
)
async def list_sessions_of_user(
    request: Request[Any, Any, Any],
    user_id: FromPath[str],
    handler: FromDishka[Handler[ListSessions, Page[SessionView, SessionPosition]]],
    limit: LimitParameter = LIMIT,
    cursor: CursorParameter = None,
) -> SessionsPage:
    """The user's sessions, newest first."""
    after = cursors.decode("sessions", cursor, tuple[AwareDatetime, cursors.Id])
    query = ListSessions(_subject(request, user_id), PageRequest(limit, after))
    page = await handler(query, caller_of(request))
    return SessionsPage([SessionOut.of(item) for item in page.items], cursors.encode("sessions", page.next))


@delete(
    "/v1/users/{user_id:str}/sessions/{session_id:str}",
    operation_id="endSessionOfUser",
    tags=["users"],
    summary="Sign one of a user's browsers out",
    opt={"who": Who.ADMIN, "problems": ("user-not-found", "session-not-found")},
)
async def end_session_of_user(
    request: Request[Any, Any, Any],
    user_id: FromPath[str],
    session_id: FromPath[str],
    handler: FromDishka[Handler[RevokeSession, None]],
) -> None:
    """The session is dead on the server at once."""
    parsed = uuid_or_none(session_id)
    if parsed is None:
        raise SessionNotFound(session_id)
    subject = _subject(request, user_id)
    await handler(RevokeSession(subject, parsed), caller_of(request))


@delete(
    "/v1/users/{user_id:str}/sessions",
    operation_id="endSessionsOfUser",
    tags=["users"],
    summary="Sign a user out everywhere",
    opt={"who": Who.ADMIN, "problems": ("user-not-found",)},
)
async def end_sessions_of_user(
    request: Request[Any, Any, Any],
    user_id: FromPath[str],
    handler: FromDishka[Handler[RevokeSessions, None]],
) -> None:
    """All of the user's sessions end."""
    await handler(RevokeSessions(_subject(request, user_id)), caller_of(request))


def _subject(request: Request[Any, Any, Any], user_id: str) -> UUID:  # noqa: ARG001 - named in the path, read there
    return USER.user_id(request)


ROUTES = (
    list_users,
    get_user,
    change_user,
    list_sessions_of_user,
    end_session_of_user,
    end_sessions_of_user,
)
