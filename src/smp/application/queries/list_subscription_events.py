"""List the events of a subscription."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from smp.application.caller import Caller
from smp.application.paging import Page, PageRequest
from smp.application.ports.clock import Clock
from smp.application.ports.subscription_reader import EventPosition, SubscriptionReader
from smp.application.queries.views import EventView
from smp.application.visibility import require_visible


@dataclass(frozen=True, slots=True)
class ListSubscriptionEvents:
    """The query for the events of the subscription with this id."""

    subscription_id: UUID
    page: PageRequest[EventPosition] = field(default_factory=PageRequest)


@dataclass(frozen=True, slots=True)
class ListSubscriptionEventsHandler:
    """The handler of :class:`ListSubscriptionEvents`."""

    subscriptions: SubscriptionReader
    clock: Clock

    async def __call__(self, query: ListSubscriptionEvents, caller: Caller) -> Page[EventView, EventPosition]:
        """Return a page of events, oldest first. Raises SubscriptionNotFound."""
        found = await self.subscriptions.get(query.subscription_id, await self.clock.now())
        require_visible(found, query.subscription_id, caller)
        return await self.subscriptions.events(query.subscription_id, query.page)
