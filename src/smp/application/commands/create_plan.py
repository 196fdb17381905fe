"""Offer a new plan."""

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
    """An administrator makes a plan."""

    code: str
    name: str
    description: str
    terms: Terms
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class CreatePlanHandler:
    """The plan is open to new subscriptions at once, at revision 1."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator

    async def __call__(self, command: CreatePlan, caller: Caller) -> PlanOutcome:
        """The new plan.

        Raises:
            ValidationError: for a bad code, name or description.
            PlanCodeTaken: where another plan has the code.
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
