"""Subscriptions to look at, in PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from smp.adapters.postgres.effective_state import IS_NOT_OVER, LIVE_PREDICATE
from smp.adapters.postgres.mapping import SUBSCRIPTION_VIEW_SQL, actor_of, instant_of, subscription_view_of
from smp.adapters.postgres.paging import bounded, page_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.replica_reads import ReplicaReads
from smp.adapters.postgres.statements import Row, sql
from smp.adapters.postgres.subscription_list import BACKLOG, BACKLOG_MAX, FilterShape, list_statement, list_values
from smp.application.paging import Page, PageRequest
from smp.application.ports.subscription_reader import (
    EventPosition,
    HistoryPosition,
    SubscriptionFilter,
    SubscriptionPosition,
    SubscriptionReader,
)
from smp.application.queries.views import EventView, SubscriptionView
from smp.domain.text import is_storable

_CURRENT: Final = sql(
    f"""
    WITH page AS (
        SELECT * FROM subscriptions
        WHERE user_id = :user_id AND {LIVE_PREDICATE} AND {IS_NOT_OVER}
    )
    SELECT {SUBSCRIPTION_VIEW_SQL}
    """  # noqa: S608 - constants
)
# There is no index on id alone (see the migration): each status is a look-up of its own.
_GET: Final = sql(
    f"""
    WITH page AS (
        SELECT * FROM subscriptions
        WHERE id = :subscription_id AND status IN ('trial', 'active', 'expired', 'cancelled')
    )
    SELECT {SUBSCRIPTION_VIEW_SQL}
    """  # noqa: S608 - constants
)
_HISTORY: Final = sql(
    f"""
    WITH page AS (
        SELECT * FROM subscriptions
        WHERE user_id = :user_id AND (starts_at, id) < (CAST(:before AS timestamptz), CAST(:before_id AS uuid))
        ORDER BY starts_at DESC, id DESC LIMIT :limit
    )
    SELECT {SUBSCRIPTION_VIEW_SQL} ORDER BY s.starts_at DESC, s.id DESC
    """  # noqa: S608 - constants
)
_EVENTS: Final = sql(
    """
    SELECT id, type, occurred_at, actor_type, actor_id, subject_id, user_id, data, version FROM event_log
    WHERE shard_key = (
        SELECT user_id FROM subscriptions
        WHERE id = :subscription_id AND status IN ('trial', 'active', 'expired', 'cancelled')
    )
    AND subject_id = :subscription_id AND version > CAST(:after AS bigint)
    ORDER BY version LIMIT :limit
    """
)

_BEHIND_ALL: Final[HistoryPosition] = (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


class PostgresSubscriptionReader(SubscriptionReader):
    """Subscriptions as of the instant that is asked about, each answer from one statement.

    The administrators' list alone may be a little stale: what it says of a subscription is right for this instant by
    what was known of it a moment ago.
    """

    def __init__(self, pool: PostgresPool, lists: ReplicaReads) -> None:
        self._pool = pool
        self._lists = lists

    async def current(self, user_id: UUID, now: datetime) -> SubscriptionView | None:
        """The user's live subscription."""
        row = await self._pool.row(_CURRENT, user_id=user_id, now=now)
        return None if row is None else subscription_view_of(row, now)

    async def get(self, subscription_id: UUID, now: datetime) -> SubscriptionView | None:
        """The subscription with this id."""
        row = await self._pool.row(_GET, subscription_id=subscription_id)
        return None if row is None else subscription_view_of(row, now)

    async def history(
        self, user_id: UUID, page: PageRequest[HistoryPosition], now: datetime
    ) -> Page[SubscriptionView, HistoryPosition]:
        """All of the user's subscriptions, newest first."""
        before, before_id = page.after or _BEHIND_ALL
        rows = await self._pool.rows(
            _HISTORY, user_id=user_id, before=instant_of(before), before_id=before_id, limit=page.limit + 1
        )
        return page_of(
            rows,
            page.limit,
            lambda row: subscription_view_of(row, now),
            lambda row: (instant_of(row["starts_at"]), row["id"]),
        )

    async def list(
        self, wanted: SubscriptionFilter, page: PageRequest[SubscriptionPosition], now: datetime
    ) -> Page[SubscriptionView, SubscriptionPosition]:
        """The subscriptions of all users that the filter lets through.

        Every page costs the same, but where a sweep has left thousands overdue, as many have to be looked at for each.
        """
        if not all(is_storable(text) for text in (wanted.plan, wanted.email) if text is not None):
            return Page([], None)
        shape = FilterShape.of(wanted)
        if shape.depends_on_backlog:
            backlog = await self._lists.row(BACKLOG, now=now)
            shape = FilterShape.of(wanted, has_backlog=backlog is not None and backlog[0] > BACKLOG_MAX)
        statement = list_statement(shape)
        rows = await self._lists.rows(statement, **list_values(statement, wanted, page, now))
        return page_of(
            rows,
            page.limit,
            lambda row: subscription_view_of(row, now),
            lambda row: (instant_of(row["ends_at"]) if wanted.by_end else None, row["id"]),
        )

    async def events(self, subscription_id: UUID, page: PageRequest[EventPosition]) -> Page[EventView, EventPosition]:
        """The subscription's events, oldest first; empty where there is no such subscription."""
        (after,) = page.after or (0,)
        rows = await self._pool.rows(
            _EVENTS, subscription_id=subscription_id, after=bounded(after), limit=page.limit + 1
        )
        return page_of(rows, page.limit, _event_view, lambda row: (row["version"],))


def _event_view(row: Row) -> EventView:
    return EventView(
        id=row["id"],
        type=row["type"],
        occurred_at=instant_of(row["occurred_at"]),
        actor=actor_of(row),
        subscription_id=row["subject_id"],
        user_id=row["user_id"],
        data=row["data"],
        version=row["version"],
    )
