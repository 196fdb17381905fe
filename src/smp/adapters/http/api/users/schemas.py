"""Wire types of accounts, for administrators."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from smp.adapters.http.api.auth.schemas import UserOut
from smp.adapters.http.wire import Cursor, RequestModel, ResponseModel
from smp.domain.user.user import Role


class UserPatchIn(RequestModel, frozen=True):
    """The members of an account to change; absent ones stay as they are."""

    role: Role | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class UsersPage(ResponseModel, frozen=True):
    """A page of accounts."""

    items: list[UserOut]
    next_cursor: Cursor
