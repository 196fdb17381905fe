"""Payments to look into."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.adapters.payments.simulated import SimulatedPayments
from smp.domain.events import Actor
from smp.domain.money import Money


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge that was asked for."""

    amount: Money
    method: str | None
    payer: UUID
    actor: Actor
    reference: str


class RecordedPayments(SimulatedPayments):
    """Simulated payments that keep what was asked for in ``charges``."""

    def __init__(self) -> None:
        self.charges: list[Charge] = []

    async def charge(self, amount: Money, method: str | None, payer: UUID, actor: Actor, reference: str) -> None:
        """Keep the charge, then do as the method says."""
        self.charges.append(Charge(amount, method, payer, actor, reference))
        await super().charge(amount, method, payer, actor, reference)
