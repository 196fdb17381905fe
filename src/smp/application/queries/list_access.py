"""What may this user use now?"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.ports.access_reader import AccessReader
from smp.application.ports.clock import Clock
from smp.application.ports.user_reader import UserReader
from smp.application.queries.views import AccessView
from smp.domain.features import features
from smp.domain.subscription.lifecycle import LIVE


@dataclass(frozen=True, slots=True)
class ListAccess:
    """Ask for everything that the user may use at this instant."""

    user_id: UUID


@dataclass(frozen=True, slots=True)
class ListAccessHandler:
    """The features of the live subscription's revision."""

    access: AccessReader
    users: UserReader
    clock: Clock

    async def __call__(self, query: ListAccess, caller: Caller) -> AccessView:
        """The user's features; none where nothing is live. Raises UserNotFound."""
        standing = await self.access.standing(query.user_id)
        if standing is None and not caller.is_user(query.user_id):
            await self.users.get(query.user_id)
        if standing is None:
            return AccessView(query.user_id, None, None, features({}), None)
        status = standing.status_at(await self.clock.now())
        if status not in LIVE:
            return AccessView(query.user_id, status, standing.plan, features({}), None)
        return AccessView(query.user_id, status, standing.plan, standing.features, standing.access_ends_at)
