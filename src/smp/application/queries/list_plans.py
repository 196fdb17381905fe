"""List the plans."""

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
    """The query for plans with this status (``None``: with any). Archived ones need ``plans:write``."""

    status: PlanStatus | None = PlanStatus.ACTIVE
    page: PageRequest[PlanPosition] = field(default_factory=PageRequest)


@dataclass(frozen=True, slots=True)
class ListPlansHandler:
    """The handler of :class:`ListPlans`."""

    plans: PlanReader

    async def __call__(self, query: ListPlans, caller: Caller) -> Page[PlanView, PlanPosition]:
        """Return a page of plans, by currency, the cheapest first.

        Raises:
            NotAuthenticated, Forbidden: if the caller may see only active plans, and asks for others.
        """
        if query.status is not PlanStatus.ACTIVE:
            caller.require(Scope.PLANS_WRITE)
        return await self.plans.list(query.status, query.page)
