"""Accounts, for administrators."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar import get, patch
from litestar.connection import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET

from smp.adapters.http import cursors
from smp.adapters.http.auth.schemas import UserOut
from smp.adapters.http.callers import Who
from smp.adapters.http.conduct import retried
from smp.adapters.http.parameters import LIMIT, PAGING, CursorParameter, LimitParameter
from smp.adapters.http.subjects import USER
from smp.adapters.http.users.schemas import UserPatchIn, UsersPage
from smp.application.commands.change_user_access import ChangeUserAccess, ChangeUserAccessHandler
from smp.application.paging import PageRequest
from smp.application.queries.get_user import GetUser, GetUserHandler
from smp.application.queries.list_users import ListUsers, ListUsersHandler


@get(
    "/v1/users",
    operation_id="listUsers",
    tags=["users"],
    summary="Accounts by email",
    opt={"who": Who.ADMIN, "query": ("email", *PAGING)},
)
async def list_users(
    handler: FromDishka[ListUsersHandler],
    email: Annotated[
        str, QueryParameter(name="email", max_length=320, description="How the email begins, without regard to case.")
    ] = "",
    limit: LimitParameter = LIMIT,
    cursor: CursorParameter = None,
) -> UsersPage:
    """All accounts, or those whose email begins so."""
    after = cursors.decode("users", cursor, tuple[str])
    page = await handler(ListUsers(email, PageRequest(limit, after)))
    return UsersPage([UserOut.of(item) for item in page.items], cursors.encode("users", page.next))


@get(
    "/v1/users/{user_id:str}",
    operation_id="getUser",
    tags=["users"],
    summary="Look at an account",
    opt={"who": Who.ADMIN, "problems": ("user-not-found",)},
)
async def get_user(
    request: Request[Any, Any, Any], user_id: FromPath[str], handler: FromDishka[GetUserHandler]
) -> UserOut:
    """The account."""
    return UserOut.of(await handler(GetUser(_subject(request, user_id))))


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
    handler: FromDishka[ChangeUserAccessHandler],
) -> UserOut:
    """Works on that user's very next request; disabling ends all of the user's sessions."""
    command = ChangeUserAccess(
        _subject(request, user_id),
        None if data.role is UNSET else data.role,
        None if data.disabled is UNSET else data.disabled,
    )
    return UserOut.of((await retried(lambda: handler(command))).user)


def _subject(request: Request[Any, Any, Any], user_id: str) -> UUID:  # noqa: ARG001 - named in the path, read there
    return USER.user_id(request)


ROUTES = (list_users, get_user, change_user)
