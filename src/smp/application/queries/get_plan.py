"""Look at a plan."""

from __future__ import annotations

from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.ports.plan_reader import PlanReader
from smp.application.queries.views import PlanView


@dataclass(frozen=True, slots=True)
class GetPlan:
    """``plan`` is a code or an id."""

    plan: str


@dataclass(frozen=True, slots=True)
class GetPlanHandler:
    """Shows active and archived plans alike: subscribers of an archived one may look at it."""

    plans: PlanReader

    async def __call__(self, query: GetPlan, caller: Caller) -> PlanView:
        """The plan. Raises PlanNotFound."""
        return await self.plans.get(query.plan)
