"""Plans for lists and views, in PostgreSQL."""

from __future__ import annotations

from typing import Final

from smp.adapters.postgres.mapping import (
    PLAN_COLUMNS,
    plan_id_of,
    plan_of,
    revision_of,
    revision_view_of,
)
from smp.adapters.postgres.paging import bounded, page_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import Row, Statement, sql
from smp.application.paging import Page, PageRequest
from smp.application.ports.plan_reader import PlanPosition, PlanReader, RevisionPosition
from smp.application.queries.views import PlanView, RevisionView
from smp.domain.errors import PlanNotFound
from smp.domain.plan.plan import PlanStatus
from smp.domain.text import is_storable

# Plans have copies of the currency and the amount of their revision, so that an index has them in this order.
_AFTER: Final = (
    "(currency, amount, code) > "
    "(CAST(:after_currency AS text), CAST(:after_amount AS bigint), CAST(:after_code AS text))"
)


def _page(condition: str) -> Statement:
    """Return the statement for a page of the plans that meet the condition; only their revisions are read."""
    return sql(
        f"""
        WITH page AS (SELECT * FROM plans WHERE {condition} ORDER BY currency, amount, code LIMIT :limit)
        SELECT {PLAN_COLUMNS}
        FROM page AS p
        CROSS JOIN LATERAL (SELECT * FROM plan_revisions WHERE plan_id = p.id AND number = p.revision LIMIT 1) AS r
        ORDER BY p.currency, p.amount, p.code
        """  # noqa: S608 - constants
    )


_GET: Final = sql(
    f"""
    SELECT {PLAN_COLUMNS} FROM plans AS p JOIN plan_revisions AS r ON r.plan_id = p.id AND r.number = p.revision
    WHERE p.code = CAST(:code AS text) OR p.id = CAST(:plan_id AS uuid)
    ORDER BY p.code = CAST(:code AS text) DESC LIMIT 1
    """  # noqa: S608 - a constant
)
_LIST: Final = _page(f"status = :status AND {_AFTER}")
_LIST_ALL: Final = _page(_AFTER)
_REVISIONS: Final = sql(
    """
    SELECT plan_id, number, amount, currency, period, trial_period, features, created_at
    FROM plan_revisions WHERE plan_id = :plan_id AND number < CAST(:before AS bigint) ORDER BY number DESC LIMIT :limit
    """
)

_BEFORE_ALL: Final[PlanPosition] = ("", -1, "")
_AFTER_ALL: Final[RevisionPosition] = (2**63 - 1,)


class PostgresPlanReader(PlanReader):
    """A reader of plans; each call is one statement."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def get(self, plan: str) -> PlanView:
        """Return the plan with this code or id. Raises PlanNotFound."""
        row = await self._pool.row(_GET, code=plan, plan_id=plan_id_of(plan)) if is_storable(plan) else None
        if row is None:
            raise PlanNotFound(plan)
        return _view(row)

    async def list(self, status: PlanStatus | None, page: PageRequest[PlanPosition]) -> Page[PlanView, PlanPosition]:
        """Return the plans with this status (``None``: all), by currency, then cheapest first, then by code."""
        currency, amount, code = page.after or _BEFORE_ALL
        values = {"after_currency": currency, "after_amount": bounded(amount), "after_code": code}
        values["limit"] = page.limit + 1
        if status is None:
            rows = await self._pool.rows(_LIST_ALL, **values)
        else:
            rows = await self._pool.rows(_LIST, status=status.value, **values)
        return page_of(rows, page.limit, _view, lambda row: (row["currency"], row["amount"], row["code"]))

    async def revisions(self, plan: str, page: PageRequest[RevisionPosition]) -> Page[RevisionView, RevisionPosition]:
        """Return the plan's revisions, newest first. Raises PlanNotFound."""
        found = await self.get(plan)
        (before,) = page.after or _AFTER_ALL
        rows = await self._pool.rows(_REVISIONS, plan_id=found.id, before=bounded(before), limit=page.limit + 1)
        return page_of(rows, page.limit, revision_view_of, lambda row: (row["number"],))


def _view(row: Row) -> PlanView:
    return PlanView.of(plan_of(row, revision_of(row)))
