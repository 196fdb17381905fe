"""The price list."""

from __future__ import annotations

from dataclasses import dataclass, field

from smp.application.caller import Caller
from smp.application.paging import Page, PageRequest
from smp.application.ports.plan_reader import PlanPosition, PlanReader
from smp.application.queries.views import PlanView
from smp.domain.plan.plan import PlanStatus
from smp.domain.scopes import Scope


@dataclass(frozen=True, slots=True)
class ListPlans:
    """Plans of this status (``None``: all); anyone may see active ones, callers with ``plans:write`` all."""

    status: PlanStatus | None = PlanStatus.ACTIVE
    page: PageRequest[PlanPosition] = field(default_factory=PageRequest)


@dataclass(frozen=True, slots=True)
class ListPlansHandler:
    """Cheapest first."""

    plans: PlanReader

    async def __call__(self, query: ListPlans, caller: Caller) -> Page[PlanView, PlanPosition]:
        """A page of plans. Raises NotAuthenticated or Forbidden for those who may see only active ones."""
        if query.status is not PlanStatus.ACTIVE:
            caller.require(Scope.PLANS_WRITE)
        return await self.plans.list(query.status, query.page)
