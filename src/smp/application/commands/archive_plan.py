"""Close a plan to new subscriptions."""

from __future__ import annotations

from dataclasses import dataclass

from smp.application.causes import Causes
from smp.application.idempotency import IdempotentRequest
from smp.application.outcomes import PlanOutcome
from smp.application.ports.clock import Clock
from smp.application.ports.ids import Ids
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.preconditions import Expected, check
from smp.application.queries.views import PlanView
from smp.domain.actor import Actor


@dataclass(frozen=True, slots=True)
class ArchivePlan:
    """An administrator archives the plan with this code or id."""

    actor: Actor
    plan: str
    expected: Expected | None = None
    request: IdempotentRequest | None = None


@dataclass(frozen=True, slots=True)
class ArchivePlanHandler:
    """Running subscriptions are untouched and can be renewed."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids

    async def __call__(self, command: ArchivePlan) -> PlanOutcome:
        """The plan as it now is. Raises PlanNotFound or StaleVersion."""
        causes = Causes(self.ids, command.actor, await self.clock.now())
        async with self.unit_of_work(command.request) as work:
            plan = await work.plans.get(command.plan, for_change=True)
            check(command.expected, plan.version)
            archived = plan.archive(causes())
            if archived.events:
                await work.plans.save(archived)
            outcome = PlanOutcome(PlanView.of(archived))
            await work.commit(outcome)
        return outcome
