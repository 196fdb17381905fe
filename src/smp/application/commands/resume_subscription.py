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
    """The command to undo the scheduled cancellation of the user's subscription."""

    user_id: UUID
    expected: VersionPrecondition | None = None
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class ResumeSubscriptionHandler:
    """The handler of :class:`ResumeSubscription`. After the end, a cancellation cannot be undone."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator

    async def __call__(self, command: ResumeSubscription, caller: Caller) -> SubscriptionOutcome:
        """Resume the subscription.

        Raises:
            UserNotFound, NoLiveSubscription: if there is no such user or subscription.
            StaleVersion: if the subscription does not have the expected version.
            IllegalTransition: if no cancellation is scheduled.
        """
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work(command.idempotency) as work:
            live = await LiveSubscription.of(work, command.user_id, new_metadata.at, command.expected)
            return await live.save(work, live.subscription.resume(new_metadata()), new_metadata.at)
