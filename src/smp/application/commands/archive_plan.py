"""Close a plan to new subscriptions."""

from __future__ import annotations

from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.event_metadata import EventMetadataFactory
from smp.application.idempotency import IdempotencyKey
from smp.application.outcomes import PlanOutcome
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.preconditions import VersionPrecondition, require_version
from smp.application.queries.views import PlanView


@dataclass(frozen=True, slots=True)
class ArchivePlan:
    """An administrator archives the plan with this code or id."""

    plan: str
    expected: VersionPrecondition | None = None
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class ArchivePlanHandler:
    """The handler of :class:`ArchivePlan`. Existing subscriptions continue and can be renewed."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator

    async def __call__(self, command: ArchivePlan, caller: Caller) -> PlanOutcome:
        """Archive the plan. Raises PlanNotFound or StaleVersion."""
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work(command.idempotency) as work:
            plan = await work.plans.get(command.plan, for_update=True)
            require_version(command.expected, plan.version)
            archived = plan.archive(new_metadata())
            if archived.events:
                await work.plans.save(archived)
            outcome = PlanOutcome(PlanView.of(archived))
            await work.commit(outcome)
        return outcome
