"""List the subscriptions of all users."""

from __future__ import annotations

from dataclasses import dataclass, field

from smp.application.caller import Caller
from smp.application.paging import Page, PageRequest
from smp.application.ports.clock import Clock
from smp.application.ports.subscription_reader import SubscriptionFilter, SubscriptionPosition, SubscriptionReader
from smp.application.queries.views import SubscriptionView


@dataclass(frozen=True, slots=True)
class ListSubscriptions:
    """The query for the subscriptions that match the filter."""

    expected: SubscriptionFilter = field(default_factory=SubscriptionFilter)
    page: PageRequest[SubscriptionPosition] = field(default_factory=PageRequest)


@dataclass(frozen=True, slots=True)
class ListSubscriptionsHandler:
    """The handler of :class:`ListSubscriptions`."""

    subscriptions: SubscriptionReader
    clock: Clock

    async def __call__(self, query: ListSubscriptions, caller: Caller) -> Page[SubscriptionView, SubscriptionPosition]:
        """Return a page of subscriptions, newest first; with a filter for ends, by that end, the soonest first."""
        return await self.subscriptions.list(query.expected, query.page, await self.clock.now())
