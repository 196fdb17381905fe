"""Undo a scheduled cancellation."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class ResumeSubscription:
    """The user, or an administrator for the user, wants to stay after all."""

    user_id: UUID
    expected: VersionPrecondition | None = None
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class ResumeSubscriptionHandler:
    """Only before the end: what is over is over."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator

    async def __call__(self, command: ResumeSubscription, caller: Caller) -> SubscriptionOutcome:
        """The subscription as it now is.

        Raises:
            UserNotFound, NoLiveSubscription, StaleVersion: where it is not there as expected.
            IllegalTransition: where no cancellation is scheduled.
        """
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work(command.idempotency) as work:
            live = await LiveSubscription.of(work, command.user_id, new_metadata.at, command.expected)
            return await live.save(work, live.subscription.resume(new_metadata()), new_metadata.at)
