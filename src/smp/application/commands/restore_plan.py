"""Restore an archived plan."""

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
class RestorePlan:
    """The command to restore the plan with this code or id."""

    plan: str
    expected: VersionPrecondition | None = None
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class RestorePlanHandler:
    """The handler of :class:`RestorePlan`. The plan takes new subscriptions again, at its newest revision."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator

    async def __call__(self, command: RestorePlan, caller: Caller) -> PlanOutcome:
        """Restore the plan. Raises PlanNotFound or StaleVersion."""
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work(command.idempotency) as work:
            plan = await work.plans.get(command.plan, for_update=True)
            require_version(command.expected, plan.version)
            restored = plan.restore(new_metadata())
            if restored.events:
                await work.plans.save(restored)
            outcome = PlanOutcome(PlanView.of(restored))
            await work.commit(outcome)
        return outcome
