"""Wire types of accounts, for administrators."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from smp.adapters.http.api.auth.schemas import UserOut
from smp.adapters.http.wire import RequestModel, ResponseModel
from smp.domain.user.user import Role


class UserPatchIn(RequestModel, frozen=True):
    """What changes of an account."""

    role: Role | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class UsersPage(ResponseModel, frozen=True):
    """A page of accounts."""

    items: list[UserOut]
    next_cursor: str | None
