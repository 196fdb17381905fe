"""Look at one subscription."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.ports.clock import Clock
from smp.application.queries.readers import SubscriptionReader
from smp.application.queries.views import SubscriptionView
from smp.domain.errors import SubscriptionNotFound
from smp.domain.events import Actor, ActorType


@dataclass(frozen=True, slots=True)
class GetSubscription:
    """``viewer`` sees it where it is the owner or an administrator."""

    subscription_id: UUID
    viewer: Actor


@dataclass(frozen=True, slots=True)
class GetSubscriptionHandler:
    """Somebody else's subscription is as unknown as none."""

    subscriptions: SubscriptionReader
    clock: Clock

    async def __call__(self, query: GetSubscription) -> SubscriptionView:
        """The subscription as of now. Raises SubscriptionNotFound."""
        found = await self.subscriptions.get(query.subscription_id, await self.clock.now())
        if found is None or not (query.viewer.type is ActorType.ADMIN or found.user_id == query.viewer.id):
            raise SubscriptionNotFound(query.subscription_id)
        return found
