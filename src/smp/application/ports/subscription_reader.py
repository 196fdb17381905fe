"""The reader port for subscriptions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
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
"""The end by which the list is ordered (``None`` if it is ordered by id), and the id of a subscription."""


class ListOrder(Enum):
    """The orders of the list of subscriptions."""

    NEWEST = "newest"
    """The newest first, by id."""
    PLANNED_END = "planned end"
    """The soonest planned end first, then by id."""
    REAL_END = "real end"
    """The earliest real end first, then by id."""


@dataclass(frozen=True, slots=True)
class SubscriptionFilter:
    """The filter of the list of subscriptions; ``statuses`` are effective statuses.

    ``ends_after`` and ``ends_before`` restrict the planned end, ``ended_after`` and ``ended_before`` the real one,
    which only ended subscriptions have. The first of each pair is inclusive, the second exclusive.
    """

    statuses: frozenset[Status] = frozenset()
    plan: str | None = None
    user_id: UUID | None = None
    email: str | None = None
    ends_before: datetime | None = None
    ends_after: datetime | None = None
    ended_before: datetime | None = None
    ended_after: datetime | None = None

    @property
    def by_planned_end(self) -> bool:
        """Whether the planned end is restricted."""
        return self.ends_before is not None or self.ends_after is not None

    @property
    def order(self) -> ListOrder:
        """The order of the list: by the real end if that is restricted, else by the planned end, else by id."""
        if self.ended_before is not None or self.ended_after is not None:
            return ListOrder.REAL_END
        return ListOrder.PLANNED_END if self.by_planned_end else ListOrder.NEWEST


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
