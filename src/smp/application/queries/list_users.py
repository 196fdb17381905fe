"""The administrator's list of users."""

from __future__ import annotations

from dataclasses import dataclass, field

from smp.application.caller import Caller
from smp.application.paging import Page, PageRequest
from smp.application.ports.user_reader import UserPosition, UserReader
from smp.application.queries.views import UserView
from smp.domain.user.user import email_key


@dataclass(frozen=True, slots=True)
class ListUsers:
    """Those whose email begins with ``email``, without regard to case."""

    email: str = ""
    page: PageRequest[UserPosition] = field(default_factory=PageRequest)


@dataclass(frozen=True, slots=True)
class ListUsersHandler:
    """By email."""

    users: UserReader

    async def __call__(self, query: ListUsers, caller: Caller) -> Page[UserView, UserPosition]:
        """A page of users."""
        return await self.users.list(email_key(query.email), query.page)
