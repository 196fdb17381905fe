"""Create a plan."""

from __future__ import annotations

from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.event_metadata import EventMetadataFactory
from smp.application.idempotency import IdempotencyKey
from smp.application.outcomes import PlanOutcome
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.queries.views import PlanView
from smp.domain.plan.plan import Plan, Terms


@dataclass(frozen=True, slots=True)
class CreatePlan:
    """The command to create a plan."""

    code: str
    name: str
    description: str
    terms: Terms
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class CreatePlanHandler:
    """The handler of :class:`CreatePlan`. The plan takes new subscriptions at once, at revision 1."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator

    async def __call__(self, command: CreatePlan, caller: Caller) -> PlanOutcome:
        """Create the plan.

        Raises:
            ValidationError: if the code, name or description is not allowed.
            PlanCodeTaken: if another plan has the code.
        """
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        plan = Plan.create(
            self.ids.new(), command.code, command.name, command.description, command.terms, new_metadata()
        )
        async with self.unit_of_work(command.idempotency) as work:
            await work.plans.add(plan)
            outcome = PlanOutcome(PlanView.of(plan), created=True)
            await work.commit(outcome)
        return outcome
