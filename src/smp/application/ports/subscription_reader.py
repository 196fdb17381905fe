"""The reader port for subscriptions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from smp.application.paging import Page, PageRequest
from smp.application.queries.views import EventView, SubscriptionView
from smp.domain.subscription.lifecycle import Status

HistoryPosition = tuple[datetime, UUID]
"""The start and the id of a subscription."""
EventPosition = tuple[int]
"""The version of the subscription after the event."""
SubscriptionPosition = tuple[datetime | None, UUID]
"""The end (``None`` if the list is not ordered by end) and the id of a subscription."""


@dataclass(frozen=True, slots=True)
class SubscriptionFilter:
    """The filter of the list of subscriptions; ``statuses`` are effective statuses.

    ``ends_after`` is inclusive and ``ends_before`` exclusive. With either of them, the list is ordered by end, the
    soonest first. Without them, it is ordered by start, the newest first.
    """

    statuses: frozenset[Status] = frozenset()
    plan: str | None = None
    user_id: UUID | None = None
    email: str | None = None
    ends_before: datetime | None = None
    ends_after: datetime | None = None

    @property
    def by_end(self) -> bool:
        """Whether the list is ordered by end."""
        return self.ends_before is not None or self.ends_after is not None


class SubscriptionReader(Protocol):
    """The reader of subscriptions in their effective state at ``now``."""

    @abstractmethod
    async def current(self, user_id: UUID, now: datetime) -> SubscriptionView | None:
        """Return the user's live subscription, or ``None``."""

    @abstractmethod
    async def get(self, subscription_id: UUID, now: datetime) -> SubscriptionView | None:
        """Return the subscription with this id, or ``None``."""

    @abstractmethod
    async def history(
        self, user_id: UUID, page: PageRequest[HistoryPosition], now: datetime
    ) -> Page[SubscriptionView, HistoryPosition]:
        """Return all of the user's subscriptions, newest first."""

    @abstractmethod
    async def list(
        self, expected: SubscriptionFilter, page: PageRequest[SubscriptionPosition], now: datetime
    ) -> Page[SubscriptionView, SubscriptionPosition]:
        """Return the subscriptions of all users that match the filter; every page has the same cost."""

    @abstractmethod
    async def events(self, subscription_id: UUID, page: PageRequest[EventPosition]) -> Page[EventView, EventPosition]:
        """Return the subscription's events, oldest first; none if there is no such subscription."""
