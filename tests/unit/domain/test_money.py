"""Money is whole minor units of a currency."""

from __future__ import annotations

import pytest

from smp.domain.errors import ValidationError
from smp.domain.money import AMOUNT_MAX, Money


@pytest.mark.parametrize("amount", [0, 1, 1_990, AMOUNT_MAX])
def test_good_amounts(amount: int) -> None:
    """From free to the largest that every client reads exactly."""
    money = Money(amount, "USD")
    assert money.amount == amount
    assert money.is_free == (amount == 0)


def test_the_largest_amount_is_exact_in_any_json_reader() -> None:
    """Doubles count whole numbers up to 2**53."""
    assert AMOUNT_MAX == 999_999_999_999_999 < 2**53


@pytest.mark.parametrize("amount", [-1, AMOUNT_MAX + 1, 2**70, True, False, 19.9, "1990", None])
def test_bad_amounts(amount: object) -> None:
    """Negative, too large, and whatever is not an integer."""
    with pytest.raises(ValidationError) as refusal:
        Money(amount, "USD")  # type: ignore[arg-type]
    assert refusal.value.pointer == "/amount"


@pytest.mark.parametrize("currency", ["", "US", "USDX", "usd", "U$D", "USD\n", "ΑΒΓ", " USD"])
def test_bad_currencies(currency: str) -> None:
    """Three capital letters of ASCII; nothing around them."""
    with pytest.raises(ValidationError) as refusal:
        Money(1, currency)
    assert refusal.value.pointer == "/currency"


def test_money_is_compared_by_value() -> None:
    """The same amount of another currency is other money."""
    assert Money(5, "USD") == Money(5, "USD")
    assert Money(5, "USD") != Money(5, "EUR")
    assert Money(5, "USD") != Money(6, "USD")
