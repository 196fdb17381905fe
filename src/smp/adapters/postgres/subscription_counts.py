"""How many subscriptions there are, and how far behind the sweep is, in PostgreSQL: for whoever watches the platform.

It is asked every few seconds, so it costs little and the same however large the tables are: the counts are kept by
triggers, and of the overdue, who are few where somebody sweeps, a limited number is read in the order of their index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smp.adapters.postgres.mapping import instant_if_any, status_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.adapters.postgres.tables import LIVE_PREDICATE
from smp.domain.subscription.lifecycle import Status

OVERDUE_MAX: Final = 10_000
"""As many overdue subscriptions are counted, and taken for what they are; any beyond count as what was written."""

_TALLY: Final = sql(
    f"""
    WITH overdue AS MATERIALIZED (
        SELECT status, ends_at, CASE WHEN cancel_at IS NULL THEN 'expired' ELSE 'cancelled' END AS status_now
        FROM subscriptions WHERE {LIVE_PREDICATE} AND ends_at <= CAST(:now AS timestamptz)
        ORDER BY ends_at, id LIMIT {OVERDUE_MAX}
    ), moved AS (
        SELECT status, n FROM subscription_counts
        UNION ALL SELECT status, -1 FROM overdue
        UNION ALL SELECT status_now, 1 FROM overdue
    )
    SELECT each.status, coalesce(sum(moved.n), 0)::bigint AS n, (SELECT count(*) FROM overdue) AS overdue,
           (SELECT min(ends_at) FROM overdue) AS oldest
    FROM unnest(CAST(:statuses AS text[])) AS each (status) LEFT JOIN moved ON moved.status = each.status
    GROUP BY each.status
    """  # noqa: S608 - constants
)


@dataclass(frozen=True, slots=True)
class SubscriptionCounts:
    """Subscriptions by status at an instant, how many of them are overdue, and since when the oldest of those is."""

    subscriptions: Mapping[Status, int]
    overdue: int
    lag: timedelta


class PostgresSubscriptionCounts:
    """Counts."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def at(self, now: datetime) -> SubscriptionCounts:
        """The counts as of ``now``. Raises StorageUnavailable."""
        rows = await self._pool.rows(_TALLY, now=now, statuses=list(Status))
        oldest = instant_if_any(rows[0]["oldest"])
        return SubscriptionCounts(
            subscriptions={status_of(row["status"]): row["n"] for row in rows},
            overdue=rows[0]["overdue"],
            lag=timedelta(0) if oldest is None else now - oldest,
        )
