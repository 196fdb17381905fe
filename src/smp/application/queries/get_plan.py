"""Get a plan."""

from __future__ import annotations

from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.ports.plan_reader import PlanReader
from smp.application.queries.views import PlanView


@dataclass(frozen=True, slots=True)
class GetPlan:
    """The query for the plan with this code or id."""

    plan: str


@dataclass(frozen=True, slots=True)
class GetPlanHandler:
    """The handler of :class:`GetPlan`. It also returns archived plans, because they can have subscribers."""

    plans: PlanReader

    async def __call__(self, query: GetPlan, caller: Caller) -> PlanView:
        """Return the plan. Raises PlanNotFound."""
        return await self.plans.get(query.plan)
