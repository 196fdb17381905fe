"""Try a plan for free."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from smp.application.causes import Causes
from smp.application.idempotency import IdempotentRequest
from smp.application.outcomes import SubscriptionOutcome
from smp.application.ports.clock import Clock
from smp.application.ports.ids import Ids
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.preconditions import Expected, check
from smp.application.queries.views import SubscriptionView
from smp.domain.actor import Actor
from smp.domain.errors import LiveSubscriptionExists, PlanArchived, PlanHasNoTrial
from smp.domain.subscription.subscription import Subscription


class TrialScope(StrEnum):
    """How often a user may try: once for each plan, or once at all."""

    PLAN = "plan"
    USER = "user"


@dataclass(frozen=True, slots=True)
class StartTrial:
    """The user, or an administrator for the user, starts the trial of the plan with this code or id."""

    actor: Actor
    user_id: UUID
    plan: str
    expected: Expected | None = None
    request: IdempotentRequest | None = None


@dataclass(frozen=True, slots=True)
class StartTrialHandler:
    """Once, ever; an overdue subscription does not stand in the way."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids
    scope: TrialScope

    async def __call__(self, command: StartTrial) -> SubscriptionOutcome:
        """The new trial.

        Raises:
            UserNotFound, PlanNotFound: where there is none.
            LiveSubscriptionExists: where the user has a live subscription.
            PlanArchived, PlanHasNoTrial: where the plan does not offer it.
            TrialAlreadyUsed: where the user has used it before.
        """
        causes = Causes(self.ids, command.actor, await self.clock.now())
        async with self.unit_of_work(command.request) as work:
            plan = await work.plans.get(command.plan)
            previous = await work.subscriptions.find_unsettled(command.user_id)
            if previous is not None:
                if not previous.is_due(causes.at):
                    check(command.expected, previous.version)
                    raise LiveSubscriptionExists(command.user_id)
                await work.subscriptions.save(previous.settle(causes()))
            check(command.expected, None)
            if plan.is_archived:
                raise PlanArchived(plan.code)
            if plan.revision.terms.trial_period is None:
                raise PlanHasNoTrial(plan.code)
            trial = Subscription.start_trial(self.ids.new(), command.user_id, plan.revision, causes())
            await work.subscriptions.claim_trial(trial, once_per_user=self.scope is TrialScope.USER)
            await work.subscriptions.add(trial)
            view = SubscriptionView.bound_to(trial, plan, plan.revision, causes.at)
            outcome = SubscriptionOutcome(view, created=True)
            await work.commit(outcome)
        return outcome
