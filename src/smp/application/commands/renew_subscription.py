"""Pay for one more period."""

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
    """The user, or an administrator for the user, renews the active subscription."""

    user_id: UUID
    payment_method: str | None = None
    expected: VersionPrecondition | None = None
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class RenewSubscriptionHandler:
    """At the price of the revision that it is bound to; early renewal adds a period to the end.

    The charge is the last thing before the commit.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator
    payments: PaymentGateway

    async def __call__(self, command: RenewSubscription, caller: Caller) -> SubscriptionOutcome:
        """The subscription with one more period.

        Raises:
            UserNotFound, NoLiveSubscription, StaleVersion: where it is not there as expected.
            IllegalTransition: for a trial, for life, or where a cancellation is scheduled.
            PaymentRefused, PaymentUnavailable: where the charge did not succeed.
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
