"""End a subscription, now or when its period ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from smp.application.causes import Causes
from smp.application.idempotency import IdempotentRequest
from smp.application.live_subscription import LiveSubscription
from smp.application.outcomes import SubscriptionOutcome
from smp.application.ports.clock import Clock
from smp.application.ports.ids import Ids
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.preconditions import Expected
from smp.domain.actor import Actor


class CancelAt(StrEnum):
    """When the cancellation takes effect."""

    NOW = "now"
    PERIOD_END = "period_end"


@dataclass(frozen=True, slots=True)
class CancelSubscription:
    """The user, or an administrator for the user, cancels the live subscription."""

    actor: Actor
    user_id: UUID
    at: CancelAt = CancelAt.NOW
    expected: Expected | None = None
    request: IdempotentRequest | None = None


@dataclass(frozen=True, slots=True)
class CancelSubscriptionHandler:
    """At the period's end it keeps giving access until then and can be resumed; now is final."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids

    async def __call__(self, command: CancelSubscription) -> SubscriptionOutcome:
        """The subscription as it now is.

        Raises:
            UserNotFound, NoLiveSubscription, StaleVersion: where it is not there as expected.
            IllegalTransition: at the period's end of a subscription for life.
        """
        causes = Causes(self.ids, command.actor, await self.clock.now())
        async with self.unit_of_work(command.request) as work:
            live = await LiveSubscription.of(work, command.user_id, causes.at, command.expected)
            if command.at is CancelAt.NOW:
                cancelled = live.subscription.cancel_now(causes())
            else:
                cancelled = live.subscription.cancel_at_period_end(causes())
            return await live.save(work, cancelled, causes.at)
