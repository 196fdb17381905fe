"""The port through which subscriptions are kept."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from smp.domain.subscription.lifecycle import access_ends_at
from smp.domain.subscription.subscription import Subscription

DuePosition = tuple[datetime, UUID]
"""The end of access and the id of a due subscription: the position of an expiry job in the due ones."""


def due_position(due: Subscription) -> DuePosition:
    """Return the position of a subscription that time has ended."""
    end = access_ends_at(due)
    if end is None:
        raise AssertionError("a subscription without an end is never due")
    return end, due.id


class SubscriptionRepository(Protocol):
    """Subscriptions inside one transaction. Saved ones take their recorded events along."""

    @abstractmethod
    async def find_open_for_update(self, user_id: UUID) -> Subscription | None:
        """The subscription of the user whose written status is live, protected from others until the transaction ends.

        It may be due: compare it with the present instant.
        """

    @abstractmethod
    async def claim_due(self, now: datetime, limit: int, after: DuePosition | None = None) -> Sequence[Subscription]:
        """Up to ``limit`` subscriptions that time has ended by ``now``, earliest end first, claimed.

        Only those behind ``after``. Those that another transaction has claimed are left out, so that many sweeps
        share the work.
        """

    @abstractmethod
    async def claim_trial(self, subscription: Subscription, *, once_per_user: bool) -> None:
        """Write into the ledger that the user has used the trial of the subscription's plan, for ever.

        Raises:
            TrialAlreadyUsed: where the ledger has it already: for the plan, or with ``once_per_user`` for any plan.
            UserNotFound: where there is no such user.
        """

    @abstractmethod
    async def add(self, subscription: Subscription) -> None:
        """Keep a new subscription and its events.

        Raises:
            LiveSubscriptionExists: where the user has another that is written as live.
            UserNotFound: where there is no such user.
        """

    @abstractmethod
    async def save(self, subscription: Subscription) -> None:
        """Keep the change and its events.

        Raises:
            StaleVersion: where the kept one is not the one that was changed.
        """

    @abstractmethod
    async def save_ended(self, ended: Sequence[Subscription]) -> None:
        """Keep the ends of many subscriptions that time has ended (``apply_expiry``), and the one event of each.

        Raises:
            StaleVersion: if one of the kept ones is not the one that was changed; then none is kept.
        """
