"""Subscriptions in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, select, text

from smp.adapters.postgres.effective_state import LIVE_PREDICATE, OVERDUE_ORDER, OVERDUE_PREDICATE, SPAN_SQL
from smp.adapters.postgres.errors import NO_CONTEXT, ErrorContext
from smp.adapters.postgres.event_log import EVENTS_SQL, PostgresEventLog, insert_events_sql
from smp.adapters.postgres.mapping import instant_if_any, subscription_of, subscription_row
from smp.adapters.postgres.statements import Statement, sql
from smp.adapters.postgres.tables import subscriptions
from smp.adapters.postgres.transaction import Transaction
from smp.domain.errors import StaleVersion, TrialAlreadyUsed
from smp.domain.subscription.repository import OverduePosition, SubscriptionRepository
from smp.domain.subscription.subscription import Subscription

_columns = subscriptions.c

_FIND_OPEN: Final = Statement(
    select(subscriptions)
    .where(_columns.user_id == bindparam("user_id"), text(LIVE_PREDICATE))
    .with_for_update(key_share=True)
)

_LAST_END: Final = sql(
    "SELECT ended_at FROM subscriptions WHERE user_id = :user_id ORDER BY starts_at DESC, id DESC LIMIT 1"
)

# A batch of thousands of rows may take longer on a slow disk than any statement of a request is allowed to.
_BATCH_TIMEOUT_S: Final = 30.0
_EXTEND_TIMEOUT: Final = sql(f"SET LOCAL statement_timeout = '{_BATCH_TIMEOUT_S:.0f}s'")


def _claim_overdue(and_after: str = "") -> Statement:
    return sql(
        f"""
        SELECT * FROM subscriptions WHERE {OVERDUE_PREDICATE} {and_after}
        ORDER BY {OVERDUE_ORDER} LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
        """,  # noqa: S608 - constants
        _BATCH_TIMEOUT_S,
    )


_CLAIM_OVERDUE: Final = _claim_overdue()
_CLAIM_OVERDUE_AFTER: Final = _claim_overdue(
    f"AND ({OVERDUE_ORDER}) > (CAST(:after_end AS timestamptz), CAST(:after_id AS uuid))"
)

_CLAIM_TRIAL: Final = sql(
    """
    INSERT INTO trials (user_id, plan_id, subscription_id, started_at, per_user, person)
    SELECT CAST(:user_id AS uuid), CAST(:plan_id AS uuid), CAST(:subscription_id AS uuid),
           CAST(:started_at AS timestamptz), CAST(:per_user AS boolean), CAST(:person AS text)
    WHERE NOT (:per_user AND EXISTS (SELECT FROM trials WHERE user_id = :user_id))
    """
)
# Trials from the time of another scope do not name the person. The emails of a person are two ranges of one index: the
# address without a tag, and those that begin with its local part and "+". The comma follows "+" in ASCII.
_TRIED_BY_PERSON: Final = sql(
    """
    SELECT t.user_id FROM users AS u JOIN trials AS t ON t.user_id = u.id
    WHERE u.email_key = CAST(:local AS text) || CAST(:domain AS text)
    OR (u.email_key >= CAST(:local AS text) || '+' AND u.email_key < CAST(:local AS text) || ','
        AND right(u.email_key, char_length(CAST(:domain AS text))) = CAST(:domain AS text))
    LIMIT 1
    """
)

_EVENTS: Final = insert_events_sql(f"saved JOIN {EVENTS_SQL} ON saved.user_id = e.user_id AND saved.id = e.subject_id")
_ADD: Final = sql(
    f"""
    WITH saved AS (
        INSERT INTO subscriptions (
            user_id, id, plan_id, revision, status, starts_at, ends_at, trial_ends_at, anchor_at, periods, converted_at,
            cancel_at, cancelled_at, ended_at, version, created_at, changed_at
        )
        VALUES (
            :user_id, :id, :plan_id, :revision, :status, :starts_at, :ends_at, :trial_ends_at, :anchor_at, :periods,
            :converted_at, :cancel_at, :cancelled_at, :ended_at, :version, :created_at, :changed_at
        )
        RETURNING user_id, id, {SPAN_SQL} AS span
    ), spans AS (
        INSERT INTO subscription_spans (user_id, subscription_id, span) SELECT user_id, id, span FROM saved
    )
    {_EVENTS}
    """  # noqa: S608 - the parts are constants
)
# The user is compared with a parameter in both tables, because a database that is sharded by user routes by that only.
_SAVE: Final = sql(
    f"""
    WITH saved AS (
        UPDATE subscriptions
        SET plan_id = :plan_id, revision = :revision, status = :status, ends_at = :ends_at,
            trial_ends_at = :trial_ends_at, anchor_at = :anchor_at, periods = :periods, converted_at = :converted_at,
            cancel_at = :cancel_at, cancelled_at = :cancelled_at, ended_at = :ended_at, version = :version,
            changed_at = :changed_at
        WHERE user_id = :user_id AND id = :id AND version = :version_before
        RETURNING user_id, id, {SPAN_SQL} AS span
    ), adjusted AS (
        UPDATE subscription_spans AS spans SET span = saved.span FROM saved
        WHERE spans.user_id = :user_id AND spans.subscription_id = saved.id AND spans.span <> saved.span
    ), inserted_events AS ({_EVENTS})
    SELECT count(*) FROM saved
    """  # noqa: S608 - the parts are constants
)
_ENDED_EVENTS: Final = insert_events_sql(
    "saved",
    {
        "shard_key": "user_id",
        "id": "event_id",
        "user_id": "user_id",
        "subject_id": "id",
        "version": "version",
        "type": "event_type",
        "occurred_at": "ended_at",
        "recorded_at": "recorded_at",
        "actor_type": "'system'",
        "actor_id": "NULL",
        "data": "data",
    },
)
# An end by time changes these columns only, moves no span, and has one event of the system. The expiry job writes
# thousands of them, so nothing else is sent.
_SAVE_ENDED: Final = sql(
    f"""
    WITH saved AS (
        UPDATE subscriptions AS s
        SET status = w.status, cancelled_at = w.cancelled_at, ended_at = w.ended_at, version = w.version,
            changed_at = w.ended_at
        FROM unnest(
            CAST(:user_id AS uuid[]), CAST(:id AS uuid[]), CAST(:status AS text[]),
            CAST(:cancelled_at AS timestamptz[]), CAST(:ended_at AS timestamptz[]), CAST(:version AS bigint[]),
            CAST(:event_id AS uuid[]), CAST(:event_type AS text[]), CAST(:event_recorded_at AS timestamptz[]),
            CAST(:event_data AS jsonb[])
        ) AS w (user_id, id, status, cancelled_at, ended_at, version, event_id, event_type, recorded_at, data)
        WHERE s.user_id = w.user_id AND s.id = w.id AND s.version = w.version - 1
        RETURNING s.user_id, s.id, s.version, s.ended_at, w.event_id, w.event_type, w.recorded_at, w.data
    ), inserted_events AS ({_ENDED_EVENTS})
    SELECT count(*) FROM saved
    """,  # noqa: S608 - the parts are constants
    _BATCH_TIMEOUT_S,
)

_SAVED_COLUMNS: Final = _SAVE.names.intersection(_columns.keys())


class PostgresSubscriptionRepository(SubscriptionRepository):
    """Subscriptions inside one transaction."""

    def __init__(self, transaction: Transaction, events: PostgresEventLog) -> None:
        self._transaction = transaction
        self._events = events

    async def find_open_for_update(self, user_id: UUID) -> Subscription | None:
        """Return the user's subscription that is written as live, locked."""
        row = await self._transaction.row(_FIND_OPEN, user_id=user_id)
        return None if row is None else subscription_of(row)

    async def last_end(self, user_id: UUID) -> datetime | None:
        """Return when the user's last subscription ended; ``None`` if none has."""
        row = await self._transaction.row(_LAST_END, user_id=user_id)
        return None if row is None else instant_if_any(row["ended_at"])

    async def claim_overdue(
        self, now: datetime, limit: int, after: OverduePosition | None = None
    ) -> Sequence[Subscription]:
        """Lock and return up to ``limit`` overdue subscriptions after ``after``; those that others lock are skipped."""
        await self._transaction.row(_EXTEND_TIMEOUT)
        if after is None:
            rows = await self._transaction.rows(_CLAIM_OVERDUE, now=now, limit=limit)
        else:
            rows = await self._transaction.rows(
                _CLAIM_OVERDUE_AFTER, now=now, limit=limit, after_end=after[0], after_id=after[1]
            )
        return [subscription_of(row) for row in rows]

    async def claim_trial(self, subscription: Subscription, *, once_per_user: bool, person: str | None = None) -> None:
        """Record that the trial is used. Raises TrialAlreadyUsed or UserNotFound."""
        context = ErrorContext(subscription.user_id, str(subscription.plan_id))
        if person is not None and await self._has_tried(person):
            self._transaction.mark_aborted()
            raise TrialAlreadyUsed(subscription.user_id, str(subscription.plan_id))
        written = await self._transaction.run(
            _CLAIM_TRIAL,
            context,
            user_id=subscription.user_id,
            plan_id=subscription.plan_id,
            subscription_id=subscription.id,
            started_at=subscription.starts_at,
            per_user=once_per_user,
            person=person,
        )
        if written != 1:
            self._transaction.mark_aborted()
            raise TrialAlreadyUsed(subscription.user_id, str(subscription.plan_id))

    async def _has_tried(self, person: str) -> bool:
        local, at, domain = person.partition("@")
        return await self._transaction.row(_TRIED_BY_PERSON, local=local, domain=at + domain) is not None

    async def add(self, subscription: Subscription) -> None:
        """Store a new subscription and its events. Raises LiveSubscriptionExists or UserNotFound."""
        values = subscription_row(subscription) | self._events.values(subscription.events)
        await self._transaction.run(_ADD, ErrorContext(subscription.user_id), **values)

    async def save(self, subscription: Subscription) -> None:
        """Store a changed subscription and its events. Raises StaleVersion, or LiveSubscriptionExists on overlap."""
        row = subscription_row(subscription)
        values = {name: row[name] for name in _SAVED_COLUMNS} | self._events.values(subscription.events)
        values["version_before"] = subscription.version - len(subscription.events)
        await self._write(_SAVE, 1, ErrorContext(subscription.user_id), values)

    async def save_ended(self, ended: Sequence[Subscription]) -> None:
        """Store subscriptions that have ended by time, and their events. Raises StaleVersion."""
        self._events.note(event for one in ended for event in one.events)
        await self._write(_SAVE_ENDED, len(ended), NO_CONTEXT, _ended_arrays(ended))

    async def _write(self, statement: Statement, count: int, context: ErrorContext, values: dict[str, object]) -> None:
        written = await self._transaction.row(statement, context, **values)
        if written is None or written[0] != count:
            self._transaction.mark_aborted()
            raise StaleVersion


def _ended_arrays(ended: Sequence[Subscription]) -> dict[str, object]:
    """Return the parameters of the statement for subscriptions with the one event that ended them."""
    events = [one.events[0] for one in ended]
    return {
        "user_id": [one.user_id for one in ended],
        "id": [one.id for one in ended],
        "status": [one.status.value for one in ended],
        "cancelled_at": [one.cancelled_at for one in ended],
        "ended_at": [one.ended_at for one in ended],
        "version": [one.version for one in ended],
        "event_id": [event.id for event in events],
        "event_type": [event.type.value for event in events],
        "event_recorded_at": [event.recorded_at for event in events],
        "event_data": [event.data for event in events],
    }
