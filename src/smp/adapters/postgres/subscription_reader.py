"""Subscriptions for lists and views, in PostgreSQL."""

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
from smp.adapters.postgres.subscription_list import (
    BACKLOG,
    BACKLOG_MAX,
    FilterShape,
    end_of,
    list_statement,
    list_values,
)
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
# There is no index on id alone (see the first migration): naming each status makes four look-ups in (status, id).
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

_AFTER_ALL: Final[HistoryPosition] = (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


class PostgresSubscriptionReader(SubscriptionReader):
    """A reader of subscriptions as of an instant; each call is one statement.

    Only the administrators' list may be slightly stale: it shows the state at the instant by the data of a moment ago.
    """

    def __init__(self, pool: PostgresPool, lists: ReplicaReads) -> None:
        self._pool = pool
        self._lists = lists

    async def current(self, user_id: UUID, now: datetime) -> SubscriptionView | None:
        """Return the user's live subscription, if there is one."""
        row = await self._pool.row(_CURRENT, user_id=user_id, now=now)
        return None if row is None else subscription_view_of(row, now)

    async def get(self, subscription_id: UUID, now: datetime) -> SubscriptionView | None:
        """Return the subscription with this id, if there is one."""
        row = await self._pool.row(_GET, subscription_id=subscription_id)
        return None if row is None else subscription_view_of(row, now)

    async def history(
        self, user_id: UUID, page: PageRequest[HistoryPosition], now: datetime
    ) -> Page[SubscriptionView, HistoryPosition]:
        """Return all subscriptions of the user, newest first."""
        before, before_id = page.after or _AFTER_ALL
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
        self, expected: SubscriptionFilter, page: PageRequest[SubscriptionPosition], now: datetime
    ) -> Page[SubscriptionView, SubscriptionPosition]:
        """Return the subscriptions of all users that match the filter.

        Every page costs the same, unless thousands of subscriptions are overdue: then each page reads all of those.
        """
        if not all(is_storable(text) for text in (expected.plan, expected.email) if text is not None):
            return Page([], None)
        shape = FilterShape.of(expected)
        if shape.depends_on_backlog:
            backlog = await self._lists.row(BACKLOG, now=now)
            shape = FilterShape.of(expected, has_backlog=backlog is not None and backlog[0] > BACKLOG_MAX)
        statement = list_statement(shape)
        rows = await self._lists.rows(statement, **list_values(statement, expected, page, now))
        return page_of(
            rows,
            page.limit,
            lambda row: subscription_view_of(row, now),
            lambda row: (end_of(expected, row), row["id"]),
        )

    async def events(self, subscription_id: UUID, page: PageRequest[EventPosition]) -> Page[EventView, EventPosition]:
        """Return the subscription's events, oldest first; empty if there is no such subscription."""
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
