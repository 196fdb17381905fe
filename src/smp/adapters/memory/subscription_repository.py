"""The repository of subscriptions in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from smp.adapters.memory.transaction import Transaction
from smp.domain.errors import (
    LiveSubscriptionExists,
    StaleVersion,
    StorageIntegrityError,
    TrialAlreadyUsed,
    UserNotFound,
)
from smp.domain.subscription.repository import OverduePosition, SubscriptionRepository, overdue_position
from smp.domain.subscription.subscription import Subscription


class MemorySubscriptionRepository(SubscriptionRepository):
    """The repository of subscriptions inside one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def find_open_for_update(self, user_id: UUID) -> Subscription | None:
        """Lock and return the user's subscription whose stored status is live, or return ``None``."""
        await self._transaction.round_trip()
        while (found := self._stored_live(user_id)) is not None:
            await self._transaction.lock("subscription", found.id)
            if self._stored_live(user_id) == found:
                return found
        return None

    async def last_end(self, user_id: UUID) -> datetime | None:
        """Return when the user's last subscription ended; ``None`` if none has."""
        await self._transaction.round_trip()
        rows = (row for row in self._rows() if row.user_id == user_id)
        last = max(rows, key=lambda row: (row.starts_at, row.id), default=None)
        return None if last is None else last.ended_at

    async def claim_overdue(
        self, now: datetime, limit: int, after: OverduePosition | None = None
    ) -> Sequence[Subscription]:
        """Lock and return up to ``limit`` overdue subscriptions after ``after``; skip locked rows."""
        await self._transaction.round_trip()
        positions = sorted(overdue_position(row) for row in self._rows() if row.is_overdue(now))
        claimed: list[Subscription] = []
        for position in positions:
            if len(claimed) == limit:
                break
            row = self._transaction.subscriptions.get(position[1])
            is_after = after is None or position > after
            if row is not None and is_after and self._transaction.lock_if_free("subscription", row.id):
                claimed.append(row)
        return claimed

    async def claim_trial(self, subscription: Subscription, *, once_per_user: bool, person: str | None = None) -> None:
        """Record the trial in the trial ledger. Raises TrialAlreadyUsed or UserNotFound."""
        user_id, plan_id = subscription.user_id, subscription.plan_id
        with self._transaction.writing():
            await self._transaction.lock("trials of user", user_id)
            self._require_user(user_id)
            used = {plan for user, plan in self._transaction.trials.keys() if user == user_id}  # noqa: SIM118 - a View is no dict
            if plan_id in used or (once_per_user and used) or (person is not None and await self._has_tried(person)):
                raise TrialAlreadyUsed(user_id, str(plan_id))
            self._transaction.trials.put((user_id, plan_id), subscription.id)

    async def _has_tried(self, person: str) -> bool:
        await self._transaction.lock("trials of person", person)
        users = {user.id for user in self._transaction.users.rows() if user.email.person == person}
        return any(user_id in users for user_id, _ in self._transaction.trials.keys())  # noqa: SIM118 - a View is no dict

    async def add(self, subscription: Subscription) -> None:
        """Insert a new subscription and its events. Raises LiveSubscriptionExists or UserNotFound."""
        with self._transaction.writing():
            await self._transaction.lock("subscriptions of user", subscription.user_id)
            self._require_user(subscription.user_id)
            if self._transaction.subscriptions.get(subscription.id) is not None:
                raise StorageIntegrityError("subscriptions_id_unique")
            if subscription.is_live and self._stored_live(subscription.user_id) is not None:
                raise LiveSubscriptionExists(subscription.user_id)
            self._write(subscription)

    async def save(self, subscription: Subscription) -> None:
        """Update the subscription and insert its events. Raises StaleVersion."""
        await self._save([subscription])

    async def save_ended(self, ended: Sequence[Subscription]) -> None:
        """Update subscriptions after ``apply_expiry``, and insert their events. Raises StaleVersion."""
        await self._save(ended)

    async def _save(self, subscriptions: Sequence[Subscription]) -> None:
        with self._transaction.writing():
            for subscription in subscriptions:
                await self._transaction.lock("subscription", subscription.id)
                stored = self._transaction.subscriptions.get(subscription.id)
                if stored is None or stored.version != subscription.version - len(subscription.events):
                    raise StaleVersion
            for subscription in subscriptions:
                self._write(subscription)

    def _rows(self) -> Iterator[Subscription]:
        return self._transaction.subscriptions.rows()

    def _stored_live(self, user_id: UUID) -> Subscription | None:
        return next((row for row in self._rows() if row.user_id == user_id and row.is_live), None)

    def _require_user(self, user_id: UUID) -> None:
        if self._transaction.users.get(user_id) is None:
            raise UserNotFound(user_id)

    def _write(self, subscription: Subscription) -> None:
        if self._transaction.revisions.get((subscription.plan_id, subscription.revision)) is None:
            raise StorageIntegrityError("subscriptions_revision_exists")
        stored = self._transaction.subscriptions.get(subscription.id)
        # An expiry does not change the span. Comparing it with all others again would make the expiry job quadratic.
        if stored is None or stored.span != subscription.span:
            self._require_no_overlap(subscription)
        self._transaction.subscriptions.put(subscription.id, replace(subscription, events=()))
        self._transaction.record(subscription.events)

    def _require_no_overlap(self, subscription: Subscription) -> None:
        others = (row for row in self._rows() if row.user_id == subscription.user_id and row.id != subscription.id)
        if any(overlap(subscription, other) for other in others):
            raise LiveSubscriptionExists(subscription.user_id)


def overlap(one: Subscription, other: Subscription) -> bool:
    """Return whether both spans contain one instant; an empty span contains none."""
    spans = (one.span, other.span)
    starts_at = max(start for start, _ in spans)
    ends = [end for _, end in spans if end is not None]
    return not ends or starts_at < min(ends)
