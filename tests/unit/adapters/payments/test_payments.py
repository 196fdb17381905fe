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
async def test_a_simulated_payment_succeeds(method: str | None, actor: Actor) -> None:
    """By default, for everybody, any number of times."""
    for _ in range(2):
        await charge(SimulatedPayments(), method, actor)


async def test_a_simulated_payment_fails_as_it_is_told() -> None:
    """Declined, or no answer."""
    with pytest.raises(PaymentDeclined):
        await charge(SimulatedPayments(), "sim_declined")
    with pytest.raises(PaymentUnavailable) as caught:
        await charge(SimulatedPayments(), "sim_down")
    assert caught.value.retry_after_s > 0


@pytest.mark.parametrize("method", ["", "card", "SIM_OK", "sim_ok ", "sim", "\x00"])
async def test_there_is_no_other_way_to_simulate_a_payment(method: str) -> None:
    """The refusal points at the method and names those that there are."""
    with pytest.raises(ValidationError) as caught:
        await charge(SimulatedPayments(), method)
    assert caught.value.pointer == "/payment_method"
    assert all(known in caught.value.detail for known in ("sim_ok", "sim_declined", "sim_down"))


async def test_without_a_provider_an_admins_word_is_taken() -> None:
    """Whatever the method."""
    for method in (None, "cash"):
        await charge(NoPayments(), method, ADMIN)


@pytest.mark.parametrize("actor", [USER, SYSTEM, Actor(ActorType.SERVICE, IDS.new())])
async def test_without_a_provider_nobody_else_can_pay(actor: Actor) -> None:
    """Nor has anything changed."""
    with pytest.raises(PaymentRequired):
        await charge(NoPayments(), "sim_ok", actor)
