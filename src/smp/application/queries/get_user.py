"""Get a user."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.ports.user_reader import UserReader
from smp.application.queries.views import UserView


@dataclass(frozen=True, slots=True)
class GetUser:
    """The query for the user with this id."""

    user_id: UUID


@dataclass(frozen=True, slots=True)
class GetUserHandler:
    """The handler of :class:`GetUser`."""

    users: UserReader

    async def __call__(self, query: GetUser, caller: Caller) -> UserView:
        """Return the user. Raises UserNotFound."""
        return await self.users.get(query.user_id)
