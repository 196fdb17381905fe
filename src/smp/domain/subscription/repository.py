"""The repository port for subscriptions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from smp.domain.subscription.lifecycle import access_ends_at
from smp.domain.subscription.subscription import Subscription

OverduePosition = tuple[datetime, UUID]
"""The end of access and the id of an overdue subscription: the order in which the expiry job works."""


def overdue_position(overdue: Subscription) -> OverduePosition:
    """Return the position of an overdue subscription."""
    end = access_ends_at(overdue)
    if end is None:
        raise AssertionError("a subscription without an end is never overdue")
    return end, overdue.id


class SubscriptionRepository(Protocol):
    """The repository of subscriptions inside one transaction. It stores new events with their subscription."""

    @abstractmethod
    async def find_open_for_update(self, user_id: UUID) -> Subscription | None:
        """Return the user's subscription whose stored status is live, and lock its row until the transaction ends.

        It can be overdue: the caller has to check that.
        """

    @abstractmethod
    async def last_end(self, user_id: UUID) -> datetime | None:
        """Return when the user's last subscription ended; ``None`` if none has. A new one never starts before it."""

    @abstractmethod
    async def claim_overdue(
        self, now: datetime, limit: int, after: OverduePosition | None = None
    ) -> Sequence[Subscription]:
        """Lock and return up to ``limit`` subscriptions that are overdue at ``now``, earliest end first.

        Only those after the position ``after`` are returned. Rows that another transaction has locked are skipped, so
        that several expiry jobs share the work.
        """

    @abstractmethod
    async def claim_trial(self, subscription: Subscription, *, once_per_user: bool, person: str | None = None) -> None:
        """Record in the trial ledger that the user has tried the subscription's plan. The record is permanent.

        Raises:
            TrialAlreadyUsed: if the user has tried the plan before, or, with ``once_per_user``, any plan; with
                ``person``, also if another user whose email has this person has tried any plan.
            UserNotFound: if there is no such user.
        """

    @abstractmethod
    async def add(self, subscription: Subscription) -> None:
        """Insert a new subscription and its events.

        Raises:
            LiveSubscriptionExists: if the user has another subscription whose stored status is live.
            UserNotFound: if there is no such user.
        """

    @abstractmethod
    async def save(self, subscription: Subscription) -> None:
        """Update the subscription and insert its events.

        Raises:
            StaleVersion: if the stored subscription has another version than this one before its change.
        """

    @abstractmethod
    async def save_ended(self, ended: Sequence[Subscription]) -> None:
        """Update many subscriptions after ``apply_expiry``, and insert the one event of each.

        Raises:
            StaleVersion: if one of the stored subscriptions has another version; then none is updated.
        """
