"""The port to payment providers."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol
from uuid import UUID

from smp.domain.events import Actor
from smp.domain.money import Money


class PaymentGateway(Protocol):
    """A payment provider."""

    @abstractmethod
    async def charge(self, amount: Money, method: str | None, payer: UUID, actor: Actor, reference: str) -> None:
        """Charge ``amount``, which is not zero, to ``payer`` by ``method`` (``None``: the provider's default).

        Several calls with the same ``reference`` charge only once. The charge succeeded if the method returns.

        Raises:
            PaymentRequired: if this actor cannot pay through the provider.
            PaymentDeclined: if the provider declined the charge.
            PaymentUnavailable: if the provider does not answer.
            ValidationError: at ``/payment_method``, if there is no such method.
        """
