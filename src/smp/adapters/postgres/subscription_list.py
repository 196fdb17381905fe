"""The administrators' list of subscriptions: one statement for each shape of its filter.

The effective status depends on the time, but an index has the written status only. So a statement is the union of
branches: one for each written status, and one for overdue subscriptions, which are written as live and are over. Each
branch reads a range of one index in the list's order, up to the length of a page, so every page costs the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
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
from smp.adapters.postgres.statements import Statement, sql
from smp.application.paging import PageRequest
from smp.application.ports.subscription_reader import SubscriptionFilter, SubscriptionPosition
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
_BEFORE_END: Final = "ends_at < CAST(:ends_before AS timestamptz)"
_HAS_STATUS: Final = f"{EFFECTIVE_STATUS_SQL} = ANY (CAST(:statuses AS text[]))"

_FIRST_END: Final = datetime.min.replace(tzinfo=UTC)
_LAST_END: Final = datetime.max.replace(tzinfo=UTC)
_FIRST_ID: Final = UUID(int=0)
_LAST_ID: Final = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class FilterShape:
    """The parts of a filter that decide the text of the statement; all others are parameters."""

    statuses: frozenset[Status]
    by_plan: bool
    by_user: bool
    by_email: bool
    by_end: bool
    has_backlog: bool = False

    @classmethod
    def of(cls, expected: SubscriptionFilter, *, has_backlog: bool = False) -> FilterShape:
        """Return the shape of this filter; ``has_backlog`` allows any number of overdue subscriptions."""
        return cls(
            frozenset() if expected.statuses == frozenset(Status) else expected.statuses,
            expected.plan is not None,
            expected.user_id is not None,
            expected.email is not None,
            expected.by_end,
            has_backlog,
        )

    @property
    def depends_on_backlog(self) -> bool:
        """Whether overdue subscriptions must be sorted, because no index has them in the order of the list."""
        return bool(self.statuses & TERMINAL) and not (self.by_user or self.by_email or self.by_end)

    @property
    def order(self) -> str:
        """The order of the list, as SQL."""
        return "ends_at, id" if self.by_end else "id DESC"


@lru_cache(maxsize=512)
def list_statement(shape: FilterShape) -> Statement:
    """Return the statement for filters of this shape, compiled once."""
    if shape.by_user or shape.by_email:
        # A user has few subscriptions, so they need no branches.
        branches = [_cut(shape, _HAS_STATUS if shape.statuses else "true")]
    else:
        branches = list(_branches(shape))
    ordered = f"ORDER BY {shape.order} LIMIT :limit"
    page = f"page AS (SELECT * FROM ({' UNION ALL '.join(branches)}) AS branches {ordered})"  # noqa: S608 - constants
    parts = (_FILTERED_PLAN, page) if shape.by_plan else (page,)
    return sql(
        f"WITH {', '.join(parts)}"
        f" SELECT {SUBSCRIPTION_VIEW_SQL} ORDER BY {', '.join(f's.{column}' for column in shape.order.split(', '))}"
    )


def list_values(
    statement: Statement, expected: SubscriptionFilter, page: PageRequest[SubscriptionPosition], now: datetime
) -> dict[str, object]:
    """Return the values of the statement's parameters."""
    begin = _position(expected, page)
    begin_of_running = max(begin, (now, _LAST_ID)) if expected.by_end else begin
    values: dict[str, object] = {
        "statuses": [status.value for status in expected.statuses],
        "plan": expected.plan,
        "plan_id": None if expected.plan is None else plan_id_of(expected.plan),
        "user_id": expected.user_id,
        "email_key": None if expected.email is None else email_key(expected.email),
        "after_end": begin[0],
        "after_id": begin[1],
        "running_after_end": begin_of_running[0],
        "running_after_id": begin_of_running[1],
        "ends_before": expected.ends_before or _LAST_END,
        "now": now,
        "limit": page.limit + 1,
    }
    return {name: values[name] for name in statement.names}


def _position(expected: SubscriptionFilter, page: PageRequest[SubscriptionPosition]) -> tuple[datetime, UUID]:
    """Return the position before the page: that of the last row seen, but not before the filter's range."""
    if not expected.by_end:
        return _FIRST_END, _LAST_ID if page.after is None else page.after[1]
    begin = (expected.ends_after or _FIRST_END, _FIRST_ID)
    if page.after is None or page.after[0] is None:
        return begin
    return max(begin, (instant_of(page.after[0]), page.after[1]))


def _branches(shape: FilterShape) -> Iterator[str]:
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
    conditions = [f"{first} = ANY (ARRAY[{value}])", *_page_of(shape, _BEGIN_OF_RUNNING if runs else _BEGIN)]
    if shape.by_plan:
        conditions.append(f"status = '{status.value}'")
    if runs and not shape.by_end:
        conditions.append(IS_NOT_OVER)
    order = f"{first}, {shape.order}" if shape.by_end else f"{first} DESC, {shape.order}"
    return _limited("subscriptions", conditions, order)


def _overdue(shape: FilterShape) -> str:
    has_final_status = ends_as_one_of(shape.statuses & TERMINAL)
    if shape.by_end:
        return _cut(shape, f"{OVERDUE_PREDICATE} AND {has_final_status}")
    # Overdue rows are read in the order of their index and sorted afterwards. The planner overestimates their number,
    # because it treats "live" and "over" as independent; the limit makes it use the index.
    limit = "" if shape.has_backlog else f"LIMIT {BACKLOG_MAX}"
    overdue = f"(SELECT * FROM subscriptions WHERE {OVERDUE_PREDICATE} ORDER BY {OVERDUE_ORDER} {limit}) AS overdue"  # noqa: S608 - constants
    return _cut(shape, has_final_status, overdue)


def _cut(shape: FilterShape, condition: str, source: str = "subscriptions") -> str:
    """Return one branch: the rows that match the condition and the rest of the filter, limited to the page."""
    conditions = [condition, *_page_of(shape, _BEGIN)]
    if shape.by_plan:
        conditions.append(f"plan_id = {_PLAN}")
    if shape.by_user:
        conditions.append("user_id = CAST(:user_id AS uuid)")
    if shape.by_email:
        conditions.append(_EMAIL)
    return _limited(source, conditions, shape.order)


def _page_of(shape: FilterShape, begin: tuple[str, str]) -> list[str]:
    """Return the conditions for rows after the page's position and within the filter's range."""
    if not shape.by_end:
        return [f"id < {begin[1]}"]
    return [f"(ends_at, id) > ({', '.join(begin)})", _BEFORE_END]


def _limited(source: str, conditions: list[str], order: str) -> str:
    return f"(SELECT * FROM {source} WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT :limit)"  # noqa: S608 - constants
