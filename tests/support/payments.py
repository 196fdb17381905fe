"""Simulated payments that record what they are asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

from smp.adapters.payments.simulated import SimulatedPayments
from smp.domain.events import Actor
from smp.domain.money import Money


@dataclass(frozen=True, slots=True)
class Charge:
    """One requested charge."""

    amount: Money
    method: str | None
    payer: UUID
    actor: Actor
    reference: str


class RecordedPayments(SimulatedPayments):
    """Simulated payments that record each charge in ``charges``, and how many were in progress at the same time."""

    def __init__(self) -> None:
        self.charges: list[Charge] = []
        self.most_at_once = 0
        self._in_progress = 0

    async def charge(self, amount: Money, method: str | None, payer: UUID, actor: Actor, reference: str) -> None:
        """Record the charge, then simulate the outcome that the method names."""
        self.charges.append(Charge(amount, method, payer, actor, reference))
        self._in_progress += 1
        self.most_at_once = max(self.most_at_once, self._in_progress)
        # Other tasks run here, as they do while a payment provider is called.
        await asyncio.sleep(0)
        self._in_progress -= 1
        await super().charge(amount, method, payer, actor, reference)
