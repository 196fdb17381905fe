"""Get a user by email."""

from __future__ import annotations

from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.ports.user_reader import UserReader
from smp.application.queries.views import UserView


@dataclass(frozen=True, slots=True)
class GetUserByEmail:
    """The query for the user who has this email, in any case."""

    email: str


@dataclass(frozen=True, slots=True)
class GetUserByEmailHandler:
    """The handler of :class:`GetUserByEmail`."""

    users: UserReader

    async def __call__(self, query: GetUserByEmail, caller: Caller) -> UserView:
        """Return the user. Raises UserNotFound."""
        return await self.users.get_by_email(query.email)
