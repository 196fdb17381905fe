"""Cancel a subscription, now or at the end of its period."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from smp.application.caller import Caller
from smp.application.event_metadata import EventMetadataFactory
from smp.application.idempotency import IdempotencyKey
from smp.application.live_subscription import LiveSubscription
from smp.application.outcomes import SubscriptionOutcome
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.preconditions import VersionPrecondition


class CancelAt(StrEnum):
    """The times at which a cancellation can take effect."""

    NOW = "now"
    PERIOD_END = "period_end"


@dataclass(frozen=True, slots=True)
class CancelSubscription:
    """The command to cancel the user's live subscription."""

    user_id: UUID
    at: CancelAt = CancelAt.NOW
    expected: VersionPrecondition | None = None
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class CancelSubscriptionHandler:
    """The handler of :class:`CancelSubscription`.

    After a cancellation at period end, access stays until then, and the subscription can be resumed. A cancellation now
    is final.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator

    async def __call__(self, command: CancelSubscription, caller: Caller) -> SubscriptionOutcome:
        """Cancel the subscription.

        Raises:
            UserNotFound, NoLiveSubscription: if there is no such user or subscription.
            StaleVersion: if the subscription does not have the expected version.
            IllegalTransition: if a subscription for life is cancelled at period end.
        """
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work(command.idempotency) as work:
            live = await LiveSubscription.of(work, command.user_id, new_metadata.at, command.expected)
            if command.at is CancelAt.NOW:
                cancelled = live.subscription.cancel_now(new_metadata())
            else:
                cancelled = live.subscription.cancel_at_period_end(new_metadata())
            return await live.save(work, cancelled, new_metadata.at)
