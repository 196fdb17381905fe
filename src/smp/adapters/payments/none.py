"""No payment provider: money comes by other ways, and an administrator says so."""

from __future__ import annotations

from uuid import UUID

from smp.application.ports.payment_gateway import PaymentGateway
from smp.domain.errors import PaymentRequired
from smp.domain.events import Actor, ActorType
from smp.domain.money import Money


class NoPayments(PaymentGateway):
    """Users cannot pay here by themselves; an administrator's word that the money has come is taken."""

    async def charge(self, amount: Money, method: str | None, payer: UUID, actor: Actor, reference: str) -> None:  # noqa: ARG002 - the port's
        """Let administrators pass.

        Raises:
            PaymentRequired: for everybody else.
        """
        if actor.type is not ActorType.ADMIN:
            raise PaymentRequired
