"""List the users."""

from __future__ import annotations

from dataclasses import dataclass, field

from smp.application.caller import Caller
from smp.application.paging import Page, PageRequest
from smp.application.ports.user_reader import UserPosition, UserReader
from smp.application.queries.views import UserView
from smp.domain.user.user import email_key


@dataclass(frozen=True, slots=True)
class ListUsers:
    """The query for users whose email begins with ``email``, in any case."""

    email: str = ""
    page: PageRequest[UserPosition] = field(default_factory=PageRequest)


@dataclass(frozen=True, slots=True)
class ListUsersHandler:
    """The handler of :class:`ListUsers`."""

    users: UserReader

    async def __call__(self, query: ListUsers, caller: Caller) -> Page[UserView, UserPosition]:
        """Return a page of users, sorted by email."""
        return await self.users.list(email_key(query.email), query.page)
