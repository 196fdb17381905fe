"""Simulated payments, for development, demos and tests."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from smp.application.errors import PaymentUnavailable
from smp.application.ports.payment_gateway import PaymentGateway
from smp.domain.errors import PaymentDeclined, ValidationError
from smp.domain.events import Actor
from smp.domain.money import Money

SUCCEEDS: Final = "sim_ok"
IS_DECLINED: Final = "sim_declined"
IS_DOWN: Final = "sim_down"


class SimulatedPayments(PaymentGateway):
    """A gateway whose outcome is the payment method: ``sim_ok`` (the default), ``sim_declined`` or ``sim_down``.

    It charges nothing, so a second charge with the same reference has no effect.
    """

    async def charge(self, amount: Money, method: str | None, payer: UUID, actor: Actor, reference: str) -> None:  # noqa: ARG002 - the port's
        """Simulate the outcome that the payment method names.

        Raises:
            PaymentDeclined: for ``sim_declined``.
            PaymentUnavailable: for ``sim_down``.
            ValidationError: at ``/payment_method`` for an unknown method.
        """
        if method is None or method == SUCCEEDS:
            return
        if method == IS_DECLINED:
            raise PaymentDeclined
        if method == IS_DOWN:
            raise PaymentUnavailable
        raise ValidationError("/payment_method", f"must be {SUCCEEDS}, {IS_DECLINED} or {IS_DOWN}")
