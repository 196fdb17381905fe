"""The administrators' list of subscriptions: one statement for each shape of its filter.

The effective status depends on the time, but an index has the written status only. So a statement is the union of
branches: one for each written status, and one for overdue subscriptions, which are written as live and are over. Each
branch reads a range of one index in the list's order, up to the length of a page, so every page costs the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

from smp.adapters.postgres.effective_state import (
    EFFECTIVE_STATUS_SQL,
    IS_NOT_OVER,
    OVERDUE_ORDER,
    OVERDUE_PREDICATE,
    ends_as_one_of,
)
from smp.adapters.postgres.mapping import SUBSCRIPTION_VIEW_SQL, instant_of, plan_id_of
from smp.adapters.postgres.statements import Row, Statement, sql
from smp.application.paging import PageRequest
from smp.application.ports.subscription_reader import ListOrder, SubscriptionFilter, SubscriptionPosition
from smp.domain.subscription.lifecycle import LIVE, TERMINAL, Status
from smp.domain.user.user import email_key

BACKLOG_MAX: Final = 10_000
"""The number of overdue subscriptions that the list by id expects: far more than arise between two expiry jobs."""

BACKLOG: Final = sql(
    f"""
    SELECT count(*) FROM (
        SELECT id FROM subscriptions WHERE {OVERDUE_PREDICATE} ORDER BY {OVERDUE_ORDER} LIMIT {BACKLOG_MAX + 1}
    ) AS overdue
    """  # noqa: S608 - constants
)

# MATERIALIZED, so that it runs once for all branches.
_FILTERED_PLAN: Final = """
    wanted_plan AS MATERIALIZED (
        SELECT id FROM plans WHERE code = CAST(:plan AS text) OR id = CAST(:plan_id AS uuid)
        ORDER BY code = CAST(:plan AS text) DESC LIMIT 1
    )
"""
_PLAN: Final = "(SELECT id FROM wanted_plan)"
_EMAIL: Final = "user_id = (SELECT id FROM users WHERE email_key = CAST(:email_key AS text))"
# The position before a page. For running subscriptions it is not before now. The program computes the greatest of
# these lower bounds, because PostgreSQL starts an index scan at any one of several bounds, not at the greatest.
_BEGIN: Final = ("CAST(:after_end AS timestamptz)", "CAST(:after_id AS uuid)")
_BEGIN_OF_RUNNING: Final = ("CAST(:running_after_end AS timestamptz)", "CAST(:running_after_id AS uuid)")
# The last instant of the range, and not the one after it, because a range can contain the last instant of the calendar.
_UNTIL_END: Final = "{end} <= CAST(:last_end AS timestamptz)"
_PLANNED_END: Final = (
    "ends_at BETWEEN CAST(:first_planned_end AS timestamptz) AND CAST(:last_planned_end AS timestamptz)"
)
_HAS_STATUS: Final = f"{EFFECTIVE_STATUS_SQL} = ANY (CAST(:statuses AS text[]))"

_FIRST_END: Final = datetime.min.replace(tzinfo=UTC)
_LAST_END: Final = datetime.max.replace(tzinfo=UTC)
_FIRST_ID: Final = UUID(int=0)
_LAST_ID: Final = UUID(int=2**128 - 1)
_TICK: Final = timedelta(microseconds=1)

_WRITTEN_ENDS: Final = {ListOrder.PLANNED_END: "ends_at", ListOrder.REAL_END: "ended_at"}
"""The column of the end by which the list is ordered, for subscriptions that are not overdue."""


@dataclass(frozen=True, slots=True)
class FilterShape:
    """The parts of a filter that decide the text of the statement; all others are parameters."""

    statuses: frozenset[Status]
    by_plan: bool
    by_user: bool
    by_email: bool
    by_planned_end: bool
    order: ListOrder
    has_backlog: bool = False

    @classmethod
    def of(cls, expected: SubscriptionFilter, *, has_backlog: bool = False) -> FilterShape:
        """Return the shape of this filter; ``has_backlog`` allows any number of overdue subscriptions."""
        return cls(
            _statuses(expected),
            expected.plan is not None,
            expected.user_id is not None,
            expected.email is not None,
            expected.by_planned_end,
            expected.order,
            has_backlog,
        )

    @property
    def depends_on_backlog(self) -> bool:
        """Whether overdue subscriptions must be sorted, because no index has them in the order of the list."""
        return bool(self.statuses & TERMINAL) and not (self.by_user or self.by_email or self.by_end)

    @property
    def by_end(self) -> bool:
        """Whether the list is ordered by an end."""
        return self.order is not ListOrder.NEWEST

    @property
    def written_end(self) -> str:
        """The column of the end by which the list is ordered; only for such a list."""
        return _WRITTEN_ENDS[self.order]

    def effective_end(self, table: str = "") -> str:
        """Return that end of any listed subscription, as SQL: an overdue one has ended at its planned end."""
        planned = f"{table}ends_at"
        return f"coalesce({table}ended_at, {planned})" if self.order is ListOrder.REAL_END else planned

    def order_sql(self, end: str, table: str = "") -> str:
        """Return the order of the list, as SQL; ``end`` is the expression of the end."""
        return f"{end}, {table}id" if self.by_end else f"{table}id DESC"


@lru_cache(maxsize=512)
def list_statement(shape: FilterShape) -> Statement:
    """Return the statement for filters of this shape, compiled once."""
    if shape.by_user or shape.by_email:
        # A user has few subscriptions, so they need no branches.
        has_status = shape.statuses or shape.order is ListOrder.REAL_END
        branches = [_cut(shape, _HAS_STATUS if has_status else "true", shape.effective_end())]
    else:
        branches = list(_branches(shape))
    ordered = f"ORDER BY {shape.order_sql(shape.effective_end())} LIMIT :limit"
    page = f"page AS (SELECT * FROM ({' UNION ALL '.join(branches)}) AS branches {ordered})"  # noqa: S608 - constants
    parts = (_FILTERED_PLAN, page) if shape.by_plan else (page,)
    order = shape.order_sql(shape.effective_end("s."), "s.")
    return sql(f"WITH {', '.join(parts)} SELECT {SUBSCRIPTION_VIEW_SQL} ORDER BY {order}")


def list_values(
    statement: Statement, expected: SubscriptionFilter, page: PageRequest[SubscriptionPosition], now: datetime
) -> dict[str, object]:
    """Return the values of the statement's parameters."""
    begin = _position(expected, page)
    begin_of_running = max(begin, (now, _LAST_ID)) if expected.order is ListOrder.PLANNED_END else begin
    last_planned_end = _last_before(expected.ends_before)
    values: dict[str, object] = {
        "statuses": [status.value for status in _statuses(expected)],
        "plan": expected.plan,
        "plan_id": None if expected.plan is None else plan_id_of(expected.plan),
        "user_id": expected.user_id,
        "email_key": None if expected.email is None else email_key(expected.email),
        "after_end": begin[0],
        "after_id": begin[1],
        "running_after_end": begin_of_running[0],
        "running_after_id": begin_of_running[1],
        "last_end": _last_before(expected.ended_before) if expected.order is ListOrder.REAL_END else last_planned_end,
        "first_planned_end": expected.ends_after or _FIRST_END,
        "last_planned_end": last_planned_end,
        "now": now,
        "limit": page.limit + 1,
    }
    return {name: values[name] for name in statement.names}


def end_of(expected: SubscriptionFilter, row: Row) -> datetime | None:
    """Return the end of the row by which the list is ordered; ``None`` if it is ordered by id."""
    if expected.order is ListOrder.NEWEST:
        return None
    is_ended = expected.order is ListOrder.REAL_END and row["ended_at"] is not None
    return instant_of(row["ended_at"] if is_ended else row["ends_at"])


def _statuses(expected: SubscriptionFilter) -> frozenset[Status]:
    """Return the statuses that restrict the list; empty if none does. Only an ended subscription has a real end."""
    if expected.order is ListOrder.REAL_END:
        return (expected.statuses or TERMINAL) & TERMINAL
    return frozenset() if expected.statuses == frozenset(Status) else expected.statuses


def _last_before(end: datetime | None) -> datetime:
    """Return the last instant before ``end``, or of the calendar."""
    return _LAST_END if end is None else max(end, _FIRST_END + _TICK) - _TICK


def _position(expected: SubscriptionFilter, page: PageRequest[SubscriptionPosition]) -> tuple[datetime, UUID]:
    """Return the position before the page: that of the last row seen, but not before the filter's range."""
    if expected.order is ListOrder.NEWEST:
        return _FIRST_END, _LAST_ID if page.after is None else page.after[1]
    first = expected.ended_after if expected.order is ListOrder.REAL_END else expected.ends_after
    begin = (first or _FIRST_END, _FIRST_ID)
    if page.after is None or page.after[0] is None:
        return begin
    return max(begin, (instant_of(page.after[0]), page.after[1]))


def _branches(shape: FilterShape) -> Iterator[str]:
    if shape.order is ListOrder.REAL_END and not shape.statuses:
        yield "(SELECT * FROM subscriptions WHERE false)"
        return
    for status in sorted(shape.statuses or frozenset(Status)):
        yield _written(shape, status, runs=bool(shape.statuses) and status in LIVE)
    if shape.statuses & TERMINAL:
        yield _overdue(shape)


def _written(shape: FilterShape, status: Status, *, runs: bool) -> str:
    """Return the branch of a written status, as a range of one index; ``runs`` leaves out the overdue ones.

    For "this plan, this status, by end" the planner may read an index by end only and filter row by row, even if few
    rows match. So the order begins with the first column of the intended index, and the condition on that column is an
    array, which the planner does not recognize as a constant that it could drop from the order.
    """
    first, value = ("plan_id", _PLAN) if shape.by_plan else ("status", f"'{status.value}'")
    end = shape.written_end if shape.by_end else ""
    begin = _BEGIN_OF_RUNNING if runs else _BEGIN
    conditions = [f"{first} = ANY (ARRAY[{value}])", *_page_of(shape, begin, end)]
    if shape.by_plan:
        conditions.append(f"status = '{status.value}'")
    if runs and not shape.by_end:
        conditions.append(IS_NOT_OVER)
    order = f"{first}{'' if shape.by_end else ' DESC'}, {shape.order_sql(end)}"
    return _limited("subscriptions", conditions, order)


def _overdue(shape: FilterShape) -> str:
    has_final_status = ends_as_one_of(shape.statuses & TERMINAL)
    if shape.by_end:
        return _cut(shape, f"{OVERDUE_PREDICATE} AND {has_final_status}", "ends_at")
    # Overdue rows are read in the order of their index and sorted afterwards. The planner overestimates their number,
    # because it treats "live" and "over" as independent; the limit makes it use the index.
    limit = "" if shape.has_backlog else f"LIMIT {BACKLOG_MAX}"
    overdue = f"(SELECT * FROM subscriptions WHERE {OVERDUE_PREDICATE} ORDER BY {OVERDUE_ORDER} {limit}) AS overdue"  # noqa: S608 - constants
    return _cut(shape, has_final_status, "", overdue)


def _cut(shape: FilterShape, condition: str, end: str, source: str = "subscriptions") -> str:
    """Return one branch: the rows that match the condition and the rest of the filter, limited to the page.

    ``end`` is the expression of the end by which the list is ordered.
    """
    conditions = [condition, *_page_of(shape, _BEGIN, end)]
    if shape.by_plan:
        conditions.append(f"plan_id = {_PLAN}")
    if shape.by_user:
        conditions.append("user_id = CAST(:user_id AS uuid)")
    if shape.by_email:
        conditions.append(_EMAIL)
    return _limited(source, conditions, shape.order_sql(end))


def _page_of(shape: FilterShape, begin: tuple[str, str], end: str) -> list[str]:
    """Return the conditions for rows after the page's position and within the filter's ranges."""
    if not shape.by_end:
        return [f"id < {begin[1]}"]
    conditions = [f"({end}, id) > ({', '.join(begin)})", _UNTIL_END.format(end=end)]
    if shape.order is ListOrder.REAL_END and shape.by_planned_end:
        conditions.append(_PLANNED_END)
    return conditions


def _limited(source: str, conditions: list[str], order: str) -> str:
    return f"(SELECT * FROM {source} WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT :limit)"  # noqa: S608 - constants
