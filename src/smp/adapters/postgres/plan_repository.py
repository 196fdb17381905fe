"""Plans in PostgreSQL."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from smp.adapters.postgres.errors import ErrorContext
from smp.adapters.postgres.event_log import EVENTS_SQL, PostgresEventLog, insert_events_sql
from smp.adapters.postgres.mapping import (
    PLAN_COLUMNS,
    plan_id_of,
    plan_of,
    plan_row,
    revision_of,
    revision_row,
)
from smp.adapters.postgres.statements import Row, sql
from smp.adapters.postgres.transaction import Transaction
from smp.domain.errors import PlanNotFound, StaleVersion
from smp.domain.plan.events import PlanEventType
from smp.domain.plan.plan import Plan, PlanRevision
from smp.domain.plan.repository import PlanRepository
from smp.domain.text import is_storable

# A code may look like another plan's id; then the code wins. Only those who change a plan lock it: otherwise a
# plan to which users subscribe all the time could not be changed.
_GET: Final = """
    WITH p AS (
        SELECT * FROM plans WHERE code = CAST(:code AS text) OR id = CAST(:plan_id AS uuid)
        ORDER BY code = CAST(:code AS text) DESC LIMIT 1
        {lock}
    )
    SELECT {columns} FROM p JOIN plan_revisions AS r ON r.plan_id = p.id AND r.number = p.revision
"""
_GET_PLAN: Final = sql(_GET.format(lock="", columns=PLAN_COLUMNS))
_GET_FOR_UPDATE: Final = sql(_GET.format(lock="FOR NO KEY UPDATE", columns=PLAN_COLUMNS))

_REVISION: Final = sql(
    f"""
    SELECT {PLAN_COLUMNS}
    FROM plans AS p JOIN plan_revisions AS r ON r.plan_id = p.id AND r.number IN (p.revision, CAST(:number AS bigint))
    WHERE p.id = CAST(:plan_id AS uuid)
    """  # noqa: S608 - the columns are a constant
)

# Plan and revision refer to each other: one statement, because foreign keys are checked at its end.
_REVISED: Final = """
    INSERT INTO plan_revisions (plan_id, number, amount, currency, period, trial_period, features, created_at)
    SELECT id, revision, amount, :currency, :period, :trial_period, CAST(:features AS jsonb),
           CAST(:revised_at AS timestamptz)
    FROM saved
"""
_EVENTS: Final = insert_events_sql(f"saved JOIN {EVENTS_SQL} ON saved.id = e.subject_id")
_ADD: Final = sql(
    f"""
    WITH saved AS (
        INSERT INTO plans (id, code, name, description, status, revision, amount, version, created_at, changed_at)
        VALUES (:id, :code, :name, :description, :status, :revision, :amount, :version, :created_at, :changed_at)
        RETURNING id, revision, amount
    ), revised AS ({_REVISED}), inserted_events AS ({_EVENTS})
    SELECT id FROM saved
    """  # noqa: S608 - the parts are constants
)
_CHANGED: Final = """
    WITH saved AS (
        UPDATE plans
        SET name = :name, description = :description, status = :status, revision = :revision, amount = :amount,
            version = :version, changed_at = :changed_at
        WHERE id = :id AND version = :version_before
        RETURNING id, revision, amount
    )
"""
_SAVE: Final = sql(f"{_CHANGED}, inserted_events AS ({_EVENTS}) SELECT id FROM saved")  # noqa: S608 - constants
_SAVE_REVISED: Final = sql(f"{_CHANGED}, revised AS ({_REVISED}), inserted_events AS ({_EVENTS}) SELECT id FROM saved")  # noqa: S608 - constants


class PostgresPlanRepository(PlanRepository):
    """Plans inside one transaction."""

    def __init__(self, transaction: Transaction, events: PostgresEventLog) -> None:
        self._transaction = transaction
        self._events = events

    async def get(self, plan: str, *, for_update: bool = False) -> Plan:
        """Return the plan with this code or id; ``for_update`` locks it. Raises PlanNotFound."""
        if not is_storable(plan):
            raise PlanNotFound(plan)
        statement = _GET_FOR_UPDATE if for_update else _GET_PLAN
        row: Row | None = None
        # If the plan was revised while the statement waited for the lock, its snapshot lacks the revision and the join
        # is empty. A second statement sees it; the lock is held by then, so there is no third.
        for _ in range(2):
            row = row or await self._transaction.row(statement, code=plan, plan_id=plan_id_of(plan))
        if row is None:
            raise PlanNotFound(plan)
        return plan_of(row, revision_of(row))

    async def revision(self, plan_id: UUID, number: int) -> tuple[Plan, PlanRevision]:
        """Return the plan and one of its revisions. Raises PlanNotFound."""
        rows = await self._transaction.rows(_REVISION, plan_id=plan_id, number=number)
        revisions = {row["number"]: revision_of(row) for row in rows}
        if number not in revisions:
            raise PlanNotFound(str(plan_id))
        return plan_of(rows[0], revisions[rows[0]["revision"]]), revisions[number]

    async def add(self, plan: Plan) -> None:
        """Store a new plan with its first revision and its events. Raises PlanCodeTaken."""
        values = plan_row(plan) | _revision_values(plan.revision) | self._events.values(plan.events)
        await self._transaction.row(_ADD, ErrorContext(plan=plan.code), **values)

    async def save(self, plan: Plan) -> None:
        """Store the changed plan, its new revision if there is one, and its events. Raises StaleVersion."""
        values = plan_row(plan) | self._events.values(plan.events) | {"version_before": plan.version - len(plan.events)}
        del values["code"], values["created_at"]
        if any(event.type is PlanEventType.REVISED for event in plan.events):
            written = await self._transaction.row(_SAVE_REVISED, **values, **_revision_values(plan.revision))
        else:
            written = await self._transaction.row(_SAVE, **values)
        if written is None:
            self._transaction.mark_aborted()
            raise StaleVersion


def _revision_values(revision: PlanRevision) -> dict[str, object]:
    row = revision_row(revision)
    values = {name: row[name] for name in ("currency", "period", "trial_period", "features")}
    return values | {"revised_at": row["created_at"]}
