"""The live subscription of a user, as commands change it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from smp.application.outcomes import SubscriptionOutcome
from smp.application.ports.unit_of_work import UnitOfWork
from smp.application.preconditions import VersionPrecondition, require_version
from smp.application.queries.views import SubscriptionView
from smp.domain.errors import NoLiveSubscription
from smp.domain.plan.plan import Plan, PlanRevision
from smp.domain.subscription.subscription import Subscription


@dataclass(frozen=True, slots=True)
class LiveSubscription:
    """A live subscription, locked until the transaction ends, with its plan and revision."""

    subscription: Subscription
    plan: Plan
    revision: PlanRevision

    @classmethod
    async def of(
        cls, work: UnitOfWork, user_id: UUID, now: datetime, expected: VersionPrecondition | None
    ) -> LiveSubscription:
        """Lock and return the user's subscription that is live at ``now``.

        Raises:
            UserNotFound: if there is no such user.
            NoLiveSubscription: if the user has none, or only an overdue one.
            StaleVersion: if it does not have the expected version.
        """
        subscription = await work.subscriptions.find_open_for_update(user_id)
        if subscription is None or subscription.is_overdue(now):
            await work.users.get(user_id)
            raise NoLiveSubscription(user_id)
        require_version(expected, subscription.version)
        plan, revision = await work.plans.revision(subscription.plan_id, subscription.revision)
        return cls(subscription, plan, revision)

    async def save(self, work: UnitOfWork, changed: Subscription, now: datetime) -> SubscriptionOutcome:
        """Save the subscription if it was changed, and commit. Returns the outcome."""
        if changed.events:
            await work.subscriptions.save(changed)
        return await self.commit(work, changed, now)

    async def commit(self, work: UnitOfWork, changed: Subscription, now: datetime) -> SubscriptionOutcome:
        """Commit a change that was saved already, with its outcome, which is returned."""
        outcome = SubscriptionOutcome(SubscriptionView.bound_to(changed, self.plan, self.revision, now))
        await work.commit(outcome)
        return outcome
