"""Start a trial of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from smp.application.caller import Caller
from smp.application.event_metadata import EventMetadataFactory
from smp.application.idempotency import IdempotencyKey
from smp.application.outcomes import SubscriptionOutcome
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.preconditions import VersionPrecondition, require_version
from smp.application.queries.views import SubscriptionView
from smp.domain.errors import LiveSubscriptionExists, PlanArchived, PlanHasNoTrial, TrialAlreadyUsed
from smp.domain.subscription.subscription import Subscription


class TrialScope(StrEnum):
    """The scope in which a user has only one trial: each plan, all plans, or all plans and accounts of a person.

    Emails that differ only by a tag after "+" are of one person.
    """

    PLAN = "plan"
    USER = "user"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class StartTrial:
    """The command to start the user's trial of the plan with this code or id."""

    user_id: UUID
    plan: str
    expected: VersionPrecondition | None = None
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class StartTrialHandler:
    """The handler of :class:`StartTrial`. An overdue subscription is ended first, and does not prevent a trial."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator
    scope: TrialScope

    async def __call__(self, command: StartTrial, caller: Caller) -> SubscriptionOutcome:
        """Start the trial.

        Raises:
            UserNotFound, PlanNotFound: if there is no such user or plan.
            LiveSubscriptionExists: if the user has a live subscription.
            PlanArchived, PlanHasNoTrial: if the plan offers no trial.
            TrialAlreadyUsed: if the user has used the trial before, or, in the scope ``person``, another user of the
                same person has used any.
        """
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work(command.idempotency) as work:
            plan = await work.plans.get(command.plan)
            previous = await work.subscriptions.find_open_for_update(command.user_id)
            if previous is not None:
                if not previous.is_overdue(new_metadata.at):
                    require_version(command.expected, previous.version)
                    raise LiveSubscriptionExists(command.user_id)
                await work.subscriptions.save(previous.apply_expiry(new_metadata()))
            require_version(command.expected, None)
            if plan.is_archived:
                raise PlanArchived(command.plan)
            if plan.revision.terms.trial_period is None:
                raise PlanHasNoTrial(command.plan)
            metadata = new_metadata().not_before(await work.subscriptions.last_end(command.user_id))
            trial = Subscription.start_trial(self.ids.new(), command.user_id, plan.revision, metadata)
            person: str | None = None
            if self.scope is TrialScope.PERSON:
                person = (await work.users.get(command.user_id)).email.person
            try:
                await work.subscriptions.claim_trial(
                    trial, once_per_user=self.scope is not TrialScope.PLAN, person=person
                )
            except TrialAlreadyUsed:
                raise TrialAlreadyUsed(command.user_id, command.plan) from None
            await work.subscriptions.add(trial)
            view = SubscriptionView.bound_to(trial, plan, plan.revision, new_metadata.at)
            outcome = SubscriptionOutcome(view, created=True)
            await work.commit(outcome)
        return outcome
