from __future__ import annotations

import pytest

from smp.adapters.payments.none import NoPayments
from smp.adapters.payments.simulated import SimulatedPayments
from smp.application.errors import PaymentUnavailable
from smp.application.ports.payment_gateway import PaymentGateway
from smp.domain.errors import PaymentDeclined, PaymentRequired, ValidationError
from smp.domain.events import SYSTEM, Actor, ActorType
from smp.domain.money import Money
from tests.support.builders import ADMIN, IDS

USER = Actor(ActorType.USER, IDS.new())


async def charge(payments: PaymentGateway, method: str | None = None, actor: Actor = USER) -> None:
    """Charge 19.90 USD."""
    await payments.charge(Money(1990, "USD"), method, IDS.new(), actor, "a reference")


@pytest.mark.parametrize("method", [None, "sim_ok"])
@pytest.mark.parametrize("actor", [USER, ADMIN])
async def test_a_simulated_payment_succeeds_by_default(method: str | None, actor: Actor) -> None:
    for _ in range(2):
        await charge(SimulatedPayments(), method, actor)


async def test_a_simulated_payment_can_be_declined_or_time_out() -> None:
    with pytest.raises(PaymentDeclined):
        await charge(SimulatedPayments(), "sim_declined")
    with pytest.raises(PaymentUnavailable) as caught:
        await charge(SimulatedPayments(), "sim_down")
    assert caught.value.retry_after_s > 0


@pytest.mark.parametrize("method", ["", "card", "SIM_OK", "sim_ok ", "sim", "\x00"])
async def test_an_unknown_payment_method_is_refused_with_the_allowed_ones(method: str) -> None:
    with pytest.raises(ValidationError) as caught:
        await charge(SimulatedPayments(), method)
    assert caught.value.pointer == "/payment_method"
    assert all(known in caught.value.detail for known in ("sim_ok", "sim_declined", "sim_down"))


async def test_without_a_provider_an_administrator_can_record_a_payment() -> None:
    for method in (None, "cash"):
        await charge(NoPayments(), method, ADMIN)


@pytest.mark.parametrize("actor", [USER, SYSTEM, Actor(ActorType.SERVICE, IDS.new())])
async def test_without_a_provider_a_user_cannot_pay(actor: Actor) -> None:
    with pytest.raises(PaymentRequired):
        await charge(NoPayments(), "sim_ok", actor)
