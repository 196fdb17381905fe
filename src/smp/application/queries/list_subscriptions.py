"""The administrator's list of subscriptions."""

from __future__ import annotations

from dataclasses import dataclass, field

from smp.application.caller import Caller
from smp.application.paging import Page, PageRequest
from smp.application.ports.clock import Clock
from smp.application.ports.subscription_reader import SubscriptionFilter, SubscriptionPosition, SubscriptionReader
from smp.application.queries.views import SubscriptionView


@dataclass(frozen=True, slots=True)
class ListSubscriptions:
    """Of all users, as of this instant."""

    wanted: SubscriptionFilter = field(default_factory=SubscriptionFilter)
    page: PageRequest[SubscriptionPosition] = field(default_factory=PageRequest)


@dataclass(frozen=True, slots=True)
class ListSubscriptionsHandler:
    """Newest first, or soonest end first where the filter is about ends."""

    subscriptions: SubscriptionReader
    clock: Clock

    async def __call__(self, query: ListSubscriptions, caller: Caller) -> Page[SubscriptionView, SubscriptionPosition]:
        """A page of subscriptions."""
        return await self.subscriptions.list(query.wanted, query.page, await self.clock.now())
