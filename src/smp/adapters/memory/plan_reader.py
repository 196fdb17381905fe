"""The reader of plans in memory."""

from __future__ import annotations

from smp.adapters.memory.paging import page_of
from smp.adapters.memory.plan_repository import find_plan
from smp.adapters.memory.store import MemoryStore
from smp.application.paging import Page, PageRequest
from smp.application.ports.plan_reader import PlanPosition, PlanReader, RevisionPosition
from smp.application.queries.views import PlanView, RevisionView
from smp.domain.errors import PlanNotFound
from smp.domain.plan.plan import Plan, PlanStatus


class MemoryPlanReader(PlanReader):
    """A reader of a store's plans."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def get(self, plan: str) -> PlanView:
        """Return the plan with this code or id. Raises PlanNotFound."""
        return PlanView.of(self._find(plan))

    async def list(self, status: PlanStatus | None, page: PageRequest[PlanPosition]) -> Page[PlanView, PlanPosition]:
        """Return the plans of this status (``None``: of any), by currency, then the cheapest first, then by code."""
        found = (plan for plan in self._store.state.plans.values() if status is None or plan.status is status)
        plans = page_of(found, page, _position)
        return Page([PlanView.of(plan) for plan in plans.items], plans.next)

    async def revisions(self, plan: str, page: PageRequest[RevisionPosition]) -> Page[RevisionView, RevisionPosition]:
        """Return the plan's revisions, newest first. Raises PlanNotFound."""
        plan_id = self._find(plan).id
        found = (revision for revision in self._store.state.revisions.values() if revision.plan_id == plan_id)
        revisions = page_of(found, page, lambda revision: (revision.number,), descending=True)
        return Page([RevisionView.of(revision) for revision in revisions.items], revisions.next)

    def _find(self, plan: str) -> Plan:
        found = find_plan(self._store.state.plans, plan)
        if found is None:
            raise PlanNotFound(plan)
        return found


def _position(plan: Plan) -> PlanPosition:
    price = plan.revision.terms.price
    return price.currency, price.amount, plan.code
