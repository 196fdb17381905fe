"""Activate a paid (or free) subscription, from nothing or from a trial."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.declined_payment import record_decline
from smp.application.event_metadata import EventMetadataFactory
from smp.application.idempotency import IdempotencyKey
from smp.application.outcomes import SubscriptionOutcome
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.payment_gateway import PaymentGateway
from smp.application.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from smp.application.preconditions import VersionPrecondition, require_version
from smp.application.queries.views import SubscriptionView
from smp.domain.errors import LiveSubscriptionExists, PaymentDeclined, PlanArchived
from smp.domain.plan.plan import Plan, PlanRevision
from smp.domain.subscription.lifecycle import Status
from smp.domain.subscription.subscription import Subscription


@dataclass(frozen=True, slots=True)
class ActivateSubscription:
    """The command to subscribe the user to the plan with this code or id."""

    user_id: UUID
    plan: str
    payment_method: str | None = None
    expected: VersionPrecondition | None = None
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class ActivateSubscriptionHandler:
    """The handler of :class:`ActivateSubscription`. Without a successful charge nothing changes."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator
    payments: PaymentGateway

    async def __call__(self, command: ActivateSubscription, caller: Caller) -> SubscriptionOutcome:
        """Create an active subscription, or convert the trial.

        Raises:
            UserNotFound, PlanNotFound: if there is no such user or plan.
            LiveSubscriptionExists: if the user has an active subscription.
            PlanArchived: if the plan takes no new subscriptions, and the user does not try this plan.
            PaymentRefused, PaymentUnavailable: if the charge did not succeed.
            StaleVersion: if the trial does not have the expected version.
        """
        try:
            return await self._activate(command, caller)
        except PaymentDeclined:
            await record_decline(self.unit_of_work, command.idempotency)
            raise

    async def _activate(self, command: ActivateSubscription, caller: Caller) -> SubscriptionOutcome:
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work(command.idempotency) as work:
            plan = await work.plans.get(command.plan)
            trial = await self._running_trial(work, command, new_metadata)
            require_version(command.expected, None if trial is None else trial.version)
            revision = await _revision_to_bind(work, plan, trial, command.plan)
            if trial is None:
                metadata = new_metadata().not_before(await work.subscriptions.last_end(command.user_id))
                subscription = Subscription.activate(self.ids.new(), command.user_id, revision, metadata)
                await work.subscriptions.add(subscription)
            else:
                subscription = trial.convert(revision, new_metadata())
                await work.subscriptions.save(subscription)
            await self._charge(command, caller, subscription, revision)
            view = SubscriptionView.bound_to(subscription, plan, revision, new_metadata.at)
            outcome = SubscriptionOutcome(view, created=trial is None)
            await work.commit(outcome)
        return outcome

    async def _running_trial(
        self, work: UnitOfWork, command: ActivateSubscription, new_metadata: EventMetadataFactory
    ) -> Subscription | None:
        previous = await work.subscriptions.find_open_for_update(command.user_id)
        if previous is None:
            return None
        if previous.is_overdue(new_metadata.at):
            await work.subscriptions.save(previous.apply_expiry(new_metadata()))
            return None
        if previous.status is not Status.TRIAL:
            require_version(command.expected, previous.version)
            raise LiveSubscriptionExists(command.user_id)
        return previous

    async def _charge(
        self, command: ActivateSubscription, caller: Caller, subscription: Subscription, revision: PlanRevision
    ) -> None:
        price = revision.terms.price
        if not price.is_free:
            reference = _reference(command, subscription)
            await self.payments.charge(price, command.payment_method, command.user_id, caller.actor, reference)


def _reference(command: ActivateSubscription, subscription: Subscription) -> str:
    """Return the reference of the charge: the same for a request that is repeated after a failed commit.

    With one reference, the provider charges only once.
    """
    key = command.idempotency
    if subscription.converted_at is not None or key is None:
        return f"{subscription.id}/{subscription.version}"
    # A subscription that was not committed has left no id: the repeated request creates one with another id.
    return f"{key.caller}/{key.key}/{key.fingerprint.hex()}"


async def _revision_to_bind(work: UnitOfWork, plan: Plan, trial: Subscription | None, named: str) -> PlanRevision:
    """The terms of the trial where it is of this plan, even if archived or revised since; else the plan's newest."""
    if trial is not None and trial.plan_id == plan.id:
        _, revision = await work.plans.revision(trial.plan_id, trial.revision)
        return revision
    if plan.is_archived:
        raise PlanArchived(named)
    return plan.revision
