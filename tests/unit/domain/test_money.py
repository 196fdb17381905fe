"""Money is whole minor units of a currency."""

from __future__ import annotations

import pytest

from smp.domain.errors import ValidationError
from smp.domain.money import AMOUNT_MAX, Money


@pytest.mark.parametrize("amount", [0, 1, 1_990, AMOUNT_MAX])
def test_an_amount_is_from_zero_to_the_largest_that_every_client_reads_exactly(amount: int) -> None:
    money = Money(amount, "USD")
    assert money.amount == amount
    assert money.is_free == (amount == 0)


def test_the_largest_amount_is_exact_in_any_json_reader() -> None:
    """Doubles represent whole numbers exactly up to 2**53."""
    assert AMOUNT_MAX == 999_999_999_999_999 < 2**53


@pytest.mark.parametrize("amount", [-1, AMOUNT_MAX + 1, 2**70, True, False, 19.9, "1990", None])
def test_an_amount_that_is_negative_too_large_or_not_an_integer_is_rejected(amount: object) -> None:
    with pytest.raises(ValidationError) as refusal:
        Money(amount, "USD")  # type: ignore[arg-type]
    assert refusal.value.pointer == "/amount"


@pytest.mark.parametrize("currency", ["", "US", "USDX", "usd", "U$D", "USD\n", "ΑΒΓ", " USD"])
def test_a_currency_that_is_not_three_capital_ascii_letters_is_rejected(currency: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Money(1, currency)
    assert refusal.value.pointer == "/currency"


def test_money_is_equal_if_amount_and_currency_are() -> None:
    assert Money(5, "USD") == Money(5, "USD")
    assert Money(5, "USD") != Money(5, "EUR")
    assert Money(5, "USD") != Money(6, "USD")
