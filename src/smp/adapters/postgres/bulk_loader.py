"""The loading of many users with their subscriptions at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final
from uuid import UUID

from asyncpg import Range

from smp.adapters.postgres.event_log import event_row
from smp.adapters.postgres.mapping import subscription_row, user_row
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.adapters.postgres.transaction import Transaction, open_transaction
from smp.domain.subscription.lifecycle import SubscriptionEventType
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.user import User

COPY_TIMEOUT_S: Final = 60.0
_EXTEND_TIMEOUT: Final = sql("SET LOCAL statement_timeout = '60s'")


class PostgresBulkLoader:
    """A loader that writes the same rows as the repositories, by COPY."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def load(self, users: Sequence[User], subscriptions: Sequence[Subscription]) -> None:
        """Store new users and new subscriptions with all their events, in one transaction.

        Each must have all its events from the first on; the rows of used trials are derived from them. All rows of a
        call are in memory, so millions of users need many calls.

        Raises:
            StorageIntegrityError: if the storage refuses one of them; then none is stored.
            EmailTaken: if a user has the email of another.
            StorageUnavailable, OutcomeUnknown: as for every commit.
        """
        async with open_transaction(self._pool) as transaction:
            await transaction.row(_EXTEND_TIMEOUT)
            await _copy(transaction, "user_emails", map(_claim_row, users))
            await _copy(transaction, "users", map(user_row, users))
            await _copy(transaction, "subscriptions", map(subscription_row, subscriptions))
            await _copy(transaction, "subscription_spans", map(_span_row, subscriptions))
            await _copy(transaction, "trials", _trial_rows(subscriptions))
            of_users = (event for user in users for event in user.events)
            of_subscriptions = (event for subscription in subscriptions for event in subscription.events)
            await _copy(transaction, "event_log", map(event_row, chain(of_users, of_subscriptions)))
            await transaction.commit()


async def _copy(transaction: Transaction, table: str, rows: Iterable[dict[str, object]]) -> None:
    rows = list(rows)
    if rows:
        records = (tuple(row.values()) for row in rows)
        await transaction.copy(table, tuple(rows[0]), records, COPY_TIMEOUT_S)


def _claim_row(user: User) -> dict[str, object]:
    return {"email_key": user.email.key, "user_id": user.id}


def _span_row(subscription: Subscription) -> dict[str, object]:
    return {
        "user_id": subscription.user_id,
        "subscription_id": subscription.id,
        "span": Range(*subscription.span),
    }


def _trial_rows(subscriptions: Iterable[Subscription]) -> Iterator[dict[str, object]]:
    """Yield the used trials; the plan comes from the event, because a conversion may have changed the plan."""
    for subscription in subscriptions:
        for event in subscription.events:
            if event.type is SubscriptionEventType.TRIAL_STARTED:
                yield {
                    "user_id": subscription.user_id,
                    "plan_id": UUID(str(event.data["plan_id"])),
                    "subscription_id": subscription.id,
                    "started_at": event.occurred_at,
                    "per_user": False,
                }
