"""What happened to a subscription."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from smp.application.paging import Page, PageRequest
from smp.application.queries.get_subscription import GetSubscription, GetSubscriptionHandler
from smp.application.queries.readers import EventPosition, SubscriptionReader
from smp.application.queries.views import EventView
from smp.domain.events import Actor


@dataclass(frozen=True, slots=True)
class ListSubscriptionEvents:
    """``viewer`` sees them where it is the owner or an administrator."""

    subscription_id: UUID
    viewer: Actor
    page: PageRequest[EventPosition] = field(default_factory=PageRequest)


@dataclass(frozen=True, slots=True)
class ListSubscriptionEventsHandler:
    """Oldest first."""

    subscriptions: SubscriptionReader
    get_subscription: GetSubscriptionHandler

    async def __call__(self, query: ListSubscriptionEvents) -> Page[EventView, EventPosition]:
        """A page of events. Raises SubscriptionNotFound."""
        await self.get_subscription(GetSubscription(query.subscription_id, query.viewer))
        return await self.subscriptions.events(query.subscription_id, query.page)
