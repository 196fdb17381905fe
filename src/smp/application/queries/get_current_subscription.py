"""Get the live subscription of a user."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.ports.clock import Clock
from smp.application.ports.subscription_reader import SubscriptionReader
from smp.application.ports.user_reader import UserReader
from smp.application.queries.views import SubscriptionView
from smp.domain.errors import NoLiveSubscription


@dataclass(frozen=True, slots=True)
class GetCurrentSubscription:
    """The query for the user's live subscription."""

    user_id: UUID


@dataclass(frozen=True, slots=True)
class GetCurrentSubscriptionHandler:
    """The handler of :class:`GetCurrentSubscription`. It never returns an ended subscription."""

    subscriptions: SubscriptionReader
    users: UserReader
    clock: Clock

    async def __call__(self, query: GetCurrentSubscription, caller: Caller) -> SubscriptionView:
        """Return the subscription. Raises NoLiveSubscription or UserNotFound."""
        found = await self.subscriptions.current(query.user_id, await self.clock.now())
        if found is None:
            await self.users.get(query.user_id)
            raise NoLiveSubscription(query.user_id)
        return found
