"""The user's live subscription inside a transaction, with what it is bound to."""

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
    """A live subscription, protected from others until the transaction ends, and its plan and revision."""

    subscription: Subscription
    plan: Plan
    revision: PlanRevision

    @classmethod
    async def of(
        cls, work: UnitOfWork, user_id: UUID, now: datetime, expected: VersionPrecondition | None
    ) -> LiveSubscription:
        """The one that is live at ``now``.

        Raises:
            UserNotFound: where there is no such user.
            NoLiveSubscription: where nothing is live, also where only the sweep is late.
            StaleVersion: where it is not as expected.
        """
        subscription = await work.subscriptions.find_open_for_update(user_id)
        if subscription is None or subscription.is_overdue(now):
            await work.users.get(user_id)
            raise NoLiveSubscription(user_id)
        require_version(expected, subscription.version)
        plan, revision = await work.plans.revision(subscription.plan_id, subscription.revision)
        return cls(subscription, plan, revision)

    async def save(self, work: UnitOfWork, changed: Subscription, now: datetime) -> SubscriptionOutcome:
        """Save the change, if it is one, and commit."""
        if changed.events:
            await work.subscriptions.save(changed)
        return await self.commit(work, changed, now)

    async def commit(self, work: UnitOfWork, changed: Subscription, now: datetime) -> SubscriptionOutcome:
        """Commit a change that was saved already; the outcome is stored for the idempotency key, if there is one."""
        outcome = SubscriptionOutcome(SubscriptionView.bound_to(changed, self.plan, self.revision, now))
        await work.commit(outcome)
        return outcome
