"""Reading subscriptions."""

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
"""Start and id."""
EventPosition = tuple[int]
"""Version."""
SubscriptionPosition = tuple[datetime | None, UUID]
"""End (where the list is ordered by it) and id."""


@dataclass(frozen=True, slots=True)
class SubscriptionFilter:
    """What an administrator looks for; statuses are those that hold at the instant asked about.

    ``ends_after`` is inclusive and ``ends_before`` exclusive; where either is given the list is ordered by end,
    soonest first, otherwise newest first.
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
    """Subscriptions to look at, as of ``now``."""

    @abstractmethod
    async def current(self, user_id: UUID, now: datetime) -> SubscriptionView | None:
        """The user's live subscription."""

    @abstractmethod
    async def get(self, subscription_id: UUID, now: datetime) -> SubscriptionView | None:
        """The subscription with this id."""

    @abstractmethod
    async def history(
        self, user_id: UUID, page: PageRequest[HistoryPosition], now: datetime
    ) -> Page[SubscriptionView, HistoryPosition]:
        """All of the user's subscriptions, newest first."""

    @abstractmethod
    async def list(
        self, wanted: SubscriptionFilter, page: PageRequest[SubscriptionPosition], now: datetime
    ) -> Page[SubscriptionView, SubscriptionPosition]:
        """The subscriptions of all users that the filter lets through; every page costs the same."""

    @abstractmethod
    async def events(self, subscription_id: UUID, page: PageRequest[EventPosition]) -> Page[EventView, EventPosition]:
        """The subscription's events, oldest first; empty where there is no such subscription."""
