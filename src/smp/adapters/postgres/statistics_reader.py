"""The counts behind the statistics, in PostgreSQL.

Triggers keep the counts by written status and by the day of the end. So whatever ended before today is counted by its
effective status without reading it, however late the expiry job is. Only what ended today is read and moved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from smp.adapters.postgres.effective_state import (
    ACCESS_ENDS_AT_SQL,
    ENDS_LATER,
    LIVE_PREDICATE,
    OVERDUE_ORDER,
    OVERDUE_PREDICATE,
    STATUS_BY_TIME_SQL,
)
from smp.adapters.postgres.mapping import money_of, status_of
from smp.adapters.postgres.replica_reads import ReplicaReads
from smp.adapters.postgres.statements import Row, Statement, sql
from smp.adapters.postgres.subscription_list import BACKLOG_MAX
from smp.application.ports.statistics_reader import StatisticsReader, StatisticsSnapshot
from smp.application.queries.views import PlanCount, RevisionRevenue, TrialCounts
from smp.domain.period import Period
from smp.domain.subscription.lifecycle import LIVE, Status

_DAY: Final = timedelta(days=1)
_TICK: Final = timedelta(microseconds=1)

# One statement, so that all counts are of one instant. Overdue subscriptions are read in the order of their index up to
# a limit: without it the planner, which cannot estimate how few there are, reads the whole table.
_COUNTS: Final = """
    WITH overdue AS MATERIALIZED (
        SELECT plan_id, revision, status, subscription_origin(trial_ends_at, converted_at) AS origin,
               {status_by_time} AS status_now
        FROM subscriptions WHERE {overdue} AND {access_ends_at} > CAST(:today AS timestamptz)
        ORDER BY {overdue_order} {limit}
    ), adjusted AS (
        SELECT plan_id, revision, CASE WHEN ends_by <= {today} THEN status_after ELSE status END AS status, origin, n
        FROM subscription_count_changes
        UNION ALL SELECT plan_id, revision, status, origin, -1 FROM overdue
        UNION ALL SELECT plan_id, revision, status_now, origin, 1 FROM overdue
    ), counted AS (
        SELECT plan_id, revision, status, origin, sum(n)::bigint AS n FROM adjusted GROUP BY 1, 2, 3, 4
    )
    SELECT c.status, c.origin, c.n, p.code, r.plan_id, r.number, r.amount, r.currency, r.period,
           (SELECT coalesce(sum(n), 0)::bigint FROM user_count_changes) AS users,
           (SELECT count(*) FROM overdue) AS overdue,
           (
               SELECT coalesce(sum(n), 0)::bigint FROM subscription_count_changes
               WHERE {live} AND ends_by > {tomorrow} AND ends_by <= {last_day}
           ) + (
               SELECT count(*) FROM subscriptions
               WHERE {live} AND {ends_later} AND {access_ends_at} < CAST(:ending_before AS timestamptz)
               AND {access_ends_at} <= CAST(:tomorrow AS timestamptz)
           ) + (
               SELECT count(*) FROM subscriptions
               WHERE {live} AND {access_ends_at} < CAST(:ending_before AS timestamptz)
               AND {access_ends_at} > greatest(CAST(:tomorrow AS timestamptz), CAST(:last_day AS timestamptz))
           ) AS ending
    FROM (SELECT 1) AS always
    LEFT JOIN counted AS c ON c.n <> 0
    LEFT JOIN plans AS p ON p.id = c.plan_id
    LEFT JOIN plan_revisions AS r ON r.plan_id = c.plan_id AND r.number = c.revision
    ORDER BY r.plan_id, r.number
"""


_MIDNIGHTS: Final = ("today", "tomorrow", "last_day")


def _counts(limit: str) -> Statement:
    return sql(
        _COUNTS.format(
            live=LIVE_PREDICATE,
            overdue=OVERDUE_PREDICATE,
            overdue_order=OVERDUE_ORDER,
            status_by_time=STATUS_BY_TIME_SQL,
            access_ends_at=ACCESS_ENDS_AT_SQL,
            ends_later=ENDS_LATER,
            **{name: f"CAST(CAST(:{name} AS timestamptz) AT TIME ZONE 'UTC' AS date)" for name in _MIDNIGHTS},
            limit=limit,
        )
    )


_BY_FEW_OVERDUE: Final = _counts(f"LIMIT {BACKLOG_MAX}")
_BY_ANY_OVERDUE: Final = _counts("")


class PostgresStatisticsReader(StatisticsReader):
    """A reader of counts, at a cost independent of the number of ended subscriptions. Counts may be slightly stale."""

    def __init__(self, lists: ReplicaReads) -> None:
        self._lists = lists

    async def figures(self, now: datetime, ending_before: datetime) -> StatisticsSnapshot:
        """Return all counts as of ``now``; ``ending`` counts live subscriptions that end before ``ending_before``."""
        values = {
            "now": now,
            "today": _last_midnight(now),
            "tomorrow": _last_midnight(now - _TICK) + _DAY,
            "last_day": _last_midnight(ending_before - _TICK),
            "ending_before": ending_before,
        }
        rows = await self._lists.rows(_BY_FEW_OVERDUE, **values)
        if rows[0]["overdue"] == BACKLOG_MAX:
            rows = await self._lists.rows(_BY_ANY_OVERDUE, **values)
        counted = [row for row in rows if row["status"] is not None]
        statuses: Counter[Status] = Counter()
        for row in counted:
            statuses[status_of(row["status"])] += row["n"]
        return StatisticsSnapshot(
            users=rows[0]["users"],
            subscriptions={status: statuses[status] for status in Status},
            by_plan=_by_plan(counted),
            revenue=_revenue(counted),
            trials=_trials(counted),
            ending=rows[0]["ending"],
        )


def _last_midnight(at: datetime) -> datetime:
    """Return the last midnight (UTC) at or before the instant."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _by_plan(rows: Iterable[Row]) -> Sequence[PlanCount]:
    counts: Counter[tuple[str, Status]] = Counter()
    for row in rows:
        status = status_of(row["status"])
        if status in LIVE:
            counts[row["code"], status] += row["n"]
    codes = sorted({code for code, _ in counts})
    return [PlanCount(code, counts[code, Status.TRIAL], counts[code, Status.ACTIVE]) for code in codes]


def _revenue(rows: Iterable[Row]) -> Sequence[RevisionRevenue]:
    """Return one item for each revision, which is the sum of a row for converted trials and one for the others."""
    parts: dict[tuple[UUID, int], RevisionRevenue] = {}
    for row in rows:
        if status_of(row["status"]) is Status.ACTIVE and row["period"] is not None and row["amount"] > 0:
            key = row["plan_id"], row["number"]
            known = parts[key].active if key in parts else 0
            parts[key] = RevisionRevenue(money_of(row), Period.parse(row["period"]), known + row["n"])
    return list(parts.values())


def _trials(rows: Iterable[Row]) -> TrialCounts:
    started = running = converted = 0
    for row in rows:
        if row["origin"] == "paid":
            continue
        started += row["n"]
        running += row["n"] if status_of(row["status"]) is Status.TRIAL else 0
        converted += row["n"] if row["origin"] == "converted" and row["amount"] > 0 else 0
    return TrialCounts(started, running, converted)
