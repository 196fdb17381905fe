"""Taking money."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol
from uuid import UUID

from smp.domain.events import Actor
from smp.domain.money import Money


class PaymentGateway(Protocol):
    """Charges a payer; a real provider is one more adapter."""

    @abstractmethod
    async def charge(self, amount: Money, method: str | None, payer: UUID, actor: Actor, reference: str) -> None:
        """Take ``amount``, which is not free, from ``payer`` by ``method`` (``None``: the provider's default).

        Calls with the same ``reference`` charge once. Returning means that the charge succeeded.

        Raises:
            PaymentRequired: where this actor cannot pay here.
            PaymentDeclined: where the charge was refused.
            PaymentUnavailable: where the provider does not answer.
            ValidationError: at ``/payment_method`` where there is no such method.
        """
