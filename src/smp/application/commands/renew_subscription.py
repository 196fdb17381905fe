"""Renew a subscription for one more period."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.declined_payment import record_decline
from smp.application.event_metadata import EventMetadataFactory
from smp.application.idempotency import IdempotencyKey
from smp.application.live_subscription import LiveSubscription
from smp.application.outcomes import SubscriptionOutcome
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.payment_gateway import PaymentGateway
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.preconditions import VersionPrecondition
from smp.domain.errors import PaymentDeclined


@dataclass(frozen=True, slots=True)
class RenewSubscription:
    """The command to renew the user's active subscription."""

    user_id: UUID
    payment_method: str | None = None
    expected: VersionPrecondition | None = None
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class RenewSubscriptionHandler:
    """The handler of :class:`RenewSubscription`.

    The price is that of the subscription's revision. Early renewal adds a period after the present one. Without a
    successful charge nothing changes.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator
    payments: PaymentGateway

    async def __call__(self, command: RenewSubscription, caller: Caller) -> SubscriptionOutcome:
        """Renew the subscription.

        Raises:
            UserNotFound, NoLiveSubscription: if there is no such user or subscription.
            StaleVersion: if the subscription does not have the expected version.
            IllegalTransition: if it is a trial, is for life, or has a scheduled cancellation.
            PaymentRefused, PaymentUnavailable: if the charge did not succeed.
        """
        try:
            return await self._renew(command, caller)
        except PaymentDeclined:
            await record_decline(self.unit_of_work, command.idempotency)
            raise

    async def _renew(self, command: RenewSubscription, caller: Caller) -> SubscriptionOutcome:
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work(command.idempotency) as work:
            live = await LiveSubscription.of(work, command.user_id, new_metadata.at, command.expected)
            renewed = live.subscription.renew(live.revision, new_metadata())
            await work.subscriptions.save(renewed)
            price = live.revision.terms.price
            if not price.is_free:
                reference = f"{renewed.id}/{renewed.version}"
                await self.payments.charge(price, command.payment_method, command.user_id, caller.actor, reference)
            return await live.commit(work, renewed, new_metadata.at)
