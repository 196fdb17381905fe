"""List all subscriptions of a user, including ended ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from smp.application.caller import Caller
from smp.application.paging import Page, PageRequest
from smp.application.ports.clock import Clock
from smp.application.ports.subscription_reader import HistoryPosition, SubscriptionReader
from smp.application.ports.user_reader import UserReader
from smp.application.queries.views import SubscriptionView


@dataclass(frozen=True, slots=True)
class ListSubscriptionHistory:
    """The query for all subscriptions of the user."""

    user_id: UUID
    page: PageRequest[HistoryPosition] = field(default_factory=PageRequest)


@dataclass(frozen=True, slots=True)
class ListSubscriptionHistoryHandler:
    """The handler of :class:`ListSubscriptionHistory`."""

    subscriptions: SubscriptionReader
    users: UserReader
    clock: Clock

    async def __call__(self, query: ListSubscriptionHistory, caller: Caller) -> Page[SubscriptionView, HistoryPosition]:
        """Return a page of subscriptions, newest first. Raises UserNotFound."""
        page = await self.subscriptions.history(query.user_id, query.page, await self.clock.now())
        if not page.items:
            await self.users.get(query.user_id)
        return page
