"""The gateway of a platform without a payment provider: administrators record that a payment was received."""

from __future__ import annotations

from uuid import UUID

from smp.application.ports.payment_gateway import PaymentGateway
from smp.domain.errors import PaymentRequired
from smp.domain.events import Actor, ActorType
from smp.domain.money import Money


class NoPayments(PaymentGateway):
    """A gateway that accepts charges of administrators only, who have received the money in another way."""

    async def charge(self, amount: Money, method: str | None, payer: UUID, actor: Actor, reference: str) -> None:  # noqa: ARG002 - the port's
        """Accept the charge of an administrator.

        Raises:
            PaymentRequired: if the actor is not an administrator.
        """
        if actor.type is not ActorType.ADMIN:
            raise PaymentRequired
