"""Look at one user."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.ports.user_reader import UserReader
from smp.application.queries.views import UserView


@dataclass(frozen=True, slots=True)
class GetUser:
    """The user with this id."""

    user_id: UUID


@dataclass(frozen=True, slots=True)
class GetUserHandler:
    """For administrators."""

    users: UserReader

    async def __call__(self, query: GetUser, caller: Caller) -> UserView:
        """The user. Raises UserNotFound."""
        return await self.users.get(query.user_id)
