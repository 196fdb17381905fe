"""Get a subscription."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.ports.clock import Clock
from smp.application.ports.subscription_reader import SubscriptionReader
from smp.application.queries.views import SubscriptionView
from smp.application.visibility import require_visible


@dataclass(frozen=True, slots=True)
class GetSubscription:
    """The query for the subscription with this id."""

    subscription_id: UUID


@dataclass(frozen=True, slots=True)
class GetSubscriptionHandler:
    """The handler of :class:`GetSubscription`. A subscription that the caller may not see counts as not found."""

    subscriptions: SubscriptionReader
    clock: Clock

    async def __call__(self, query: GetSubscription, caller: Caller) -> SubscriptionView:
        """Return the subscription. Raises SubscriptionNotFound."""
        found = await self.subscriptions.get(query.subscription_id, await self.clock.now())
        return require_visible(found, query.subscription_id, caller)
