"""The repository of plans in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from smp.adapters.memory.transaction import Transaction
from smp.domain.errors import PlanCodeTaken, PlanNotFound, StaleVersion, StorageIntegrityError
from smp.domain.plan.plan import Plan, PlanRevision
from smp.domain.plan.repository import PlanRepository


def find_plan(plans: Mapping[UUID, Plan], plan: str) -> Plan | None:
    """Return the plan with this code, or else with this id in its canonical form, or ``None``."""
    by_code = next((candidate for candidate in plans.values() if candidate.code == plan), None)
    return by_code or next((candidate for candidate in plans.values() if str(candidate.id) == plan.lower()), None)


class MemoryPlanRepository(PlanRepository):
    """The repository of plans inside one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, plan: str, *, for_update: bool = False) -> Plan:
        """Return the plan with this code or id; ``for_update`` locks it.

        Raises:
            PlanNotFound: if there is no such plan.
        """
        await self._transaction.round_trip()
        found = find_plan(self._transaction.plans.merged(), plan)
        if found is None:
            raise PlanNotFound(plan)
        if for_update:
            await self._transaction.lock("plan", found.id)
        return self._transaction.plans.get(found.id) or found

    async def revision(self, plan_id: UUID, number: int) -> tuple[Plan, PlanRevision]:
        """Return the plan, and its revision with this number. Raises PlanNotFound."""
        await self._transaction.round_trip()
        plan = self._transaction.plans.get(plan_id)
        revision = self._transaction.revisions.get((plan_id, number))
        if plan is None or revision is None:
            raise PlanNotFound(str(plan_id))
        return plan, revision

    async def add(self, plan: Plan) -> None:
        """Insert a new plan with its first revision and its events. Raises PlanCodeTaken."""
        with self._transaction.writing():
            await self._transaction.lock("plan code", plan.code)
            if self._transaction.plans.get(plan.id) is not None:
                raise StorageIntegrityError("plans_id_unique")
            if any(other.code == plan.code for other in self._transaction.plans.rows()):
                raise PlanCodeTaken(plan.code)
            self._write(plan)

    async def save(self, plan: Plan) -> None:
        """Update the plan, and insert its new revision, if there is one, and its events. Raises StaleVersion."""
        with self._transaction.writing():
            await self._transaction.lock("plan", plan.id)
            stored = self._transaction.plans.get(plan.id)
            if stored is None or stored.version != plan.version - len(plan.events):
                raise StaleVersion
            self._write(plan)

    def _write(self, plan: Plan) -> None:
        self._transaction.plans.put(plan.id, replace(plan, events=()))
        self._transaction.revisions.put((plan.id, plan.revision.number), plan.revision)
        self._transaction.record(plan.events)
