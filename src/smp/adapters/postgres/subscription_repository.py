"""Subscriptions in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, select, text, tuple_

from smp.adapters.postgres.errors import ErrorContext
from smp.adapters.postgres.mapping import subscription_event_row, subscription_of, subscription_row
from smp.adapters.postgres.statements import Statement, sql
from smp.adapters.postgres.tables import LIVE_PREDICATE, subscriptions
from smp.adapters.postgres.transaction import Transaction
from smp.domain.errors import StaleVersion, TrialAlreadyUsed
from smp.domain.events import SYSTEM, DomainEvent
from smp.domain.subscription.lifecycle import SubscriptionEventType
from smp.domain.subscription.repository import DuePosition, SubscriptionRepository
from smp.domain.subscription.subscription import Subscription

_columns = subscriptions.c
_live = text(LIVE_PREDICATE)

_FIND_UNSETTLED: Final = Statement(
    select(subscriptions).where(_columns.user_id == bindparam("user_id"), _live).with_for_update(key_share=True)
)

_due = (
    select(subscriptions)
    .where(_live, _columns.ends_at <= bindparam("now"))
    .order_by(_columns.ends_at, _columns.id)
    .limit(bindparam("limit"))
    .with_for_update(key_share=True, skip_locked=True)
)
_behind = tuple_(_columns.ends_at, _columns.id) > tuple_(
    bindparam("after_end", type_=_columns.ends_at.type), bindparam("after_id", type_=_columns.id.type)
)
# Thousands of rows on a cold disk take longer than anything that a caller waits for.
_SWEEP_TIMEOUT_S: Final = 30.0
_TAKE_TIME: Final = sql(f"SET LOCAL statement_timeout = '{_SWEEP_TIMEOUT_S:.0f}s'")
_CLAIM_DUE: Final = Statement(_due, _SWEEP_TIMEOUT_S)
_CLAIM_DUE_BEHIND: Final = Statement(_due.where(_behind), _SWEEP_TIMEOUT_S)

_CLAIM_TRIAL: Final = sql(
    """
    INSERT INTO trials (user_id, plan_id, subscription_id, started_at, per_user)
    SELECT CAST(:user_id AS uuid), CAST(:plan_id AS uuid), CAST(:subscription_id AS uuid),
           CAST(:started_at AS timestamptz), CAST(:per_user AS boolean)
    WHERE NOT (:per_user AND EXISTS (SELECT FROM trials WHERE user_id = :user_id))
    """
)

_EVENTS: Final = """
    INSERT INTO events (user_id, id, subscription_id, version, type, occurred_at, actor_type, actor_id, data)
    SELECT e.user_id, e.id, e.subscription_id, e.version, e.type, e.occurred_at, e.actor_type, e.actor_id, e.data
    FROM saved JOIN unnest(
        CAST(:event_users AS uuid[]), CAST(:event_ids AS uuid[]), CAST(:event_subscriptions AS uuid[]),
        CAST(:event_versions AS bigint[]), CAST(:event_types AS text[]), CAST(:event_times AS timestamptz[]),
        CAST(:actor_types AS text[]), CAST(:actor_ids AS uuid[]), CAST(:event_data AS jsonb[])
    ) AS e (user_id, id, subscription_id, version, type, occurred_at, actor_type, actor_id, data)
    ON saved.user_id = e.user_id AND saved.id = e.subscription_id
"""
_ADD: Final = sql(
    f"""
    WITH saved AS (
        INSERT INTO subscriptions (
            user_id, id, plan_id, revision, status, starts_at, ends_at, trial_ends_at, anchor_at, periods, converted_at,
            cancel_at, cancelled_at, ended_at, version, created_at
        )
        VALUES (
            :user_id, :id, :plan_id, :revision, :status, :starts_at, :ends_at, :trial_ends_at, :anchor_at, :periods,
            :converted_at, :cancel_at, :cancelled_at, :ended_at, :version, :created_at
        )
        RETURNING user_id, id, tstzrange(starts_at, coalesce(ended_at, ends_at)) AS span
    ), covered AS (
        INSERT INTO subscription_spans (user_id, subscription_id, span) SELECT user_id, id, span FROM saved
    )
    {_EVENTS}
    """  # noqa: S608 - the parts are constants
)
# Whose rows these are is said twice, for a database that is dealt out by user looks only at an equality with a value.
_CHANGE: Final = f"""
    WITH saved AS (
        UPDATE subscriptions AS s
        SET plan_id = w.plan_id, revision = w.revision, status = w.status, ends_at = w.ends_at,
            trial_ends_at = w.trial_ends_at, anchor_at = w.anchor_at, periods = w.periods,
            converted_at = w.converted_at, cancel_at = w.cancel_at, cancelled_at = w.cancelled_at,
            ended_at = w.ended_at, version = w.version
        FROM unnest(
            CAST(:user_id AS uuid[]), CAST(:id AS uuid[]), CAST(:plan_id AS uuid[]), CAST(:revision AS bigint[]),
            CAST(:status AS text[]), CAST(:ends_at AS timestamptz[]), CAST(:trial_ends_at AS timestamptz[]),
            CAST(:anchor_at AS timestamptz[]), CAST(:periods AS bigint[]), CAST(:converted_at AS timestamptz[]),
            CAST(:cancel_at AS timestamptz[]), CAST(:cancelled_at AS timestamptz[]), CAST(:ended_at AS timestamptz[]),
            CAST(:version AS bigint[]), CAST(:version_before AS bigint[])
        ) AS w (
            user_id, id, plan_id, revision, status, ends_at, trial_ends_at, anchor_at, periods, converted_at, cancel_at,
            cancelled_at, ended_at, version, version_before
        )
        WHERE s.user_id = ANY (CAST(:user_id AS uuid[]))
        AND s.user_id = w.user_id AND s.id = w.id AND s.version = w.version_before
        RETURNING s.user_id, s.id
    ), told AS ({_EVENTS})
    SELECT count(*) FROM saved
"""  # noqa: S608 - the parts are constants
# What time ends changes these columns alone, and is told of by one event that says when; the sweep, which does that by
# the thousand, sends nothing else.
_END: Final = """
    WITH saved AS (
        UPDATE subscriptions AS s
        SET status = w.status, cancelled_at = w.cancelled_at, ended_at = w.ended_at, version = w.version
        FROM unnest(
            CAST(:user_id AS uuid[]), CAST(:id AS uuid[]), CAST(:status AS text[]),
            CAST(:cancelled_at AS timestamptz[]), CAST(:ended_at AS timestamptz[]), CAST(:version AS bigint[]),
            CAST(:event_ids AS uuid[]), CAST(:event_types AS text[]), CAST(:event_times AS timestamptz[]),
            CAST(:event_data AS jsonb[])
        ) AS w (user_id, id, status, cancelled_at, ended_at, version, event_id, event_type, occurred_at, data)
        WHERE s.user_id = w.user_id AND s.id = w.id AND s.version = w.version - 1
        RETURNING s.user_id, w.event_id, s.id, s.version, w.event_type, w.occurred_at, w.data
    ), told AS (
        INSERT INTO events (user_id, id, subscription_id, version, type, occurred_at, actor_type, actor_id, data)
        SELECT user_id, event_id, id, version, event_type, occurred_at, 'system', NULL, data FROM saved
    )
    SELECT count(*) FROM saved
"""
_SAVE: Final = sql(_CHANGE)
_SAVE_MANY: Final = sql(_CHANGE, _SWEEP_TIMEOUT_S)
_END_MANY: Final = sql(_END, _SWEEP_TIMEOUT_S)
_MOVE_SPANS: Final = sql(
    """
    UPDATE subscription_spans AS covered
    SET span = tstzrange(s.starts_at, coalesce(s.ended_at, s.ends_at))
    FROM subscriptions AS s JOIN unnest(CAST(:user_id AS uuid[]), CAST(:id AS uuid[])) AS w (user_id, id)
         ON s.user_id = w.user_id AND s.id = w.id
    WHERE s.user_id = ANY (CAST(:user_id AS uuid[])) AND covered.user_id = ANY (CAST(:user_id AS uuid[]))
    AND covered.user_id = s.user_id AND covered.subscription_id = s.id
    """
)

_EVENT_ARRAYS: Final = {
    "event_users": "user_id",
    "event_ids": "id",
    "event_subscriptions": "subscription_id",
    "event_versions": "version",
    "event_types": "type",
    "event_times": "occurred_at",
    "actor_types": "actor_type",
    "actor_ids": "actor_id",
    "event_data": "data",
}
_CHANGING: Final = _SAVE.names.intersection(_columns.keys())
_MOVE_THE_END: Final = frozenset({SubscriptionEventType.CONVERTED, SubscriptionEventType.RENEWED})


class PostgresSubscriptionRepository(SubscriptionRepository):
    """Subscriptions inside one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def find_open_for_update(self, user_id: UUID) -> Subscription | None:
        """The subscription of the user that is written as live, locked."""
        row = await self._transaction.row(_FIND_UNSETTLED, user_id=user_id)
        return None if row is None else subscription_of(row)

    async def claim_due(self, now: datetime, limit: int, after: DuePosition | None = None) -> Sequence[Subscription]:
        """Up to ``limit`` due subscriptions behind ``after`` that nobody else has locked, locked."""
        await self._transaction.row(_TAKE_TIME)
        if after is None:
            rows = await self._transaction.rows(_CLAIM_DUE, now=now, limit=limit)
        else:
            rows = await self._transaction.rows(
                _CLAIM_DUE_BEHIND, now=now, limit=limit, after_end=after[0], after_id=after[1]
            )
        return [subscription_of(row) for row in rows]

    async def claim_trial(self, subscription: Subscription, *, once_per_user: bool) -> None:
        """Write the trial into the ledger. Raises TrialAlreadyUsed or UserNotFound."""
        facts = ErrorContext(subscription.user_id, str(subscription.plan_id))
        written = await self._transaction.run(
            _CLAIM_TRIAL,
            facts,
            user_id=subscription.user_id,
            plan_id=subscription.plan_id,
            subscription_id=subscription.id,
            started_at=subscription.starts_at,
            per_user=once_per_user,
        )
        if written != 1:
            self._transaction.mark_aborted()
            raise TrialAlreadyUsed(subscription.user_id, str(subscription.plan_id))

    async def add(self, subscription: Subscription) -> None:
        """Keep a new subscription and its events. Raises LiveSubscriptionExists or UserNotFound."""
        values = subscription_row(subscription) | _event_arrays(subscription.events)
        await self._transaction.run(_ADD, ErrorContext(subscription.user_id), **values)

    async def save(self, subscription: Subscription) -> None:
        """Keep the change and its events. Raises StaleVersion."""
        await self._save(_SAVE, [subscription])

    async def save_all(self, subscriptions: Sequence[Subscription]) -> None:
        """Keep many changes and their events in one statement. Raises StaleVersion; nothing is kept then."""
        if all(_is_ended_by_time(subscription) for subscription in subscriptions):
            await self._write(_END_MANY, len(subscriptions), _endings(subscriptions))
        else:
            await self._save(_SAVE_MANY, subscriptions)

    async def _write(self, statement: Statement, count: int, values: dict[str, object]) -> None:
        written = await self._transaction.row(statement, **values)
        if written is None or written[0] != count:
            self._transaction.mark_aborted()
            raise StaleVersion

    async def _save(self, statement: Statement, subscriptions: Sequence[Subscription]) -> None:
        await self._write(statement, len(subscriptions), _changes(subscriptions))
        moved = [subscription for subscription in subscriptions if _moves_span(subscription)]
        if moved:
            users, ids = [one.user_id for one in moved], [one.id for one in moved]
            await self._transaction.run(_MOVE_SPANS, ErrorContext(moved[0].user_id), user_id=users, id=ids)


def _is_ended_by_time(changed: Subscription) -> bool:
    """Whether all that happened is that its time was over."""
    return [event.actor for event in changed.events] == [SYSTEM] and changed.ended_at == changed.ends_at


def _moves_span(changed: Subscription) -> bool:
    """Whether the change moved the end of the span; what time ended keeps it, so that the sweep never writes spans."""
    if any(event.type in _MOVE_THE_END for event in changed.events):
        return True
    return changed.ended_at is not None and changed.ended_at != changed.ends_at


def _endings(ended: Sequence[Subscription]) -> dict[str, object]:
    """What the statement is told of subscriptions with the one event that ended them."""
    events = [one.events[0] for one in ended]
    return {
        "user_id": [one.user_id for one in ended],
        "id": [one.id for one in ended],
        "status": [one.status.value for one in ended],
        "cancelled_at": [one.cancelled_at for one in ended],
        "ended_at": [one.ended_at for one in ended],
        "version": [one.version for one in ended],
        "event_ids": [event.id for event in events],
        "event_types": [event.type.value for event in events],
        "event_times": [event.occurred_at for event in events],
        "event_data": [event.data for event in events],
    }


def _changes(changed: Sequence[Subscription]) -> dict[str, object]:
    """What the statements are told of subscriptions with whatever happened to them."""
    rows = [subscription_row(one) for one in changed]
    arrays: dict[str, object] = {name: [row[name] for row in rows] for name in _CHANGING}
    arrays["version_before"] = [one.version - len(one.events) for one in changed]
    return arrays | _event_arrays(event for one in changed for event in one.events)


def _event_arrays(events: Iterable[DomainEvent]) -> dict[str, object]:
    rows = [subscription_event_row(event) for event in events]
    return {name: [row[column] for row in rows] for name, column in _EVENT_ARRAYS.items()}
