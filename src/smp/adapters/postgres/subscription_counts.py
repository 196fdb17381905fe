"""Counts of subscriptions and the lag of the expiry job, for metrics.

They are read every few seconds, so their cost does not grow with the tables: triggers keep the counts, and a limited
number of overdue subscriptions is read in the order of their index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smp.adapters.postgres.effective_state import (
    ACCESS_ENDS_AT_SQL,
    OVERDUE_ORDER,
    OVERDUE_PREDICATE,
    STATUS_BY_TIME_SQL,
)
from smp.adapters.postgres.mapping import instant_if_any, status_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.domain.subscription.lifecycle import Status

OVERDUE_MAX: Final = 10_000
"""How many overdue subscriptions are counted by their effective status; the others count by their written status."""

_COUNTS: Final = sql(
    f"""
    WITH overdue AS MATERIALIZED (
        SELECT status, {ACCESS_ENDS_AT_SQL} AS over_since, {STATUS_BY_TIME_SQL} AS status_now
        FROM subscriptions WHERE {OVERDUE_PREDICATE} ORDER BY {OVERDUE_ORDER} LIMIT {OVERDUE_MAX}
    ), adjusted AS (
        SELECT status, n FROM subscription_count_changes
        UNION ALL SELECT status, -1 FROM overdue
        UNION ALL SELECT status_now, 1 FROM overdue
    )
    SELECT each.status, coalesce(sum(adjusted.n), 0)::bigint AS n, (SELECT count(*) FROM overdue) AS overdue,
           (SELECT min(over_since) FROM overdue) AS oldest
    FROM unnest(CAST(:statuses AS text[])) AS each (status) LEFT JOIN adjusted ON adjusted.status = each.status
    GROUP BY each.status
    """  # noqa: S608 - constants
)


@dataclass(frozen=True, slots=True)
class SubscriptionCounts:
    """Subscriptions by effective status, the number of overdue ones, and how long the oldest has been overdue."""

    subscriptions: Mapping[Status, int]
    overdue: int
    lag: timedelta


class PostgresSubscriptionCounts:
    """Reads the counts from the primary."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def at(self, now: datetime) -> SubscriptionCounts:
        """Return the counts as of ``now``. Raises StorageUnavailable."""
        rows = await self._pool.rows(_COUNTS, now=now, statuses=list(Status))
        oldest = instant_if_any(rows[0]["oldest"])
        return SubscriptionCounts(
            subscriptions={status_of(row["status"]): row["n"] for row in rows},
            overdue=rows[0]["overdue"],
            lag=timedelta(0) if oldest is None else now - oldest,
        )
