"""Money: a whole number of a currency's minor unit; never a float."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from smp.domain.errors import ValidationError

AMOUNT_MAX: Final = 999_999_999_999_999
"""The largest amount in minor units. It is below 2**53, so every JSON parser reads it exactly."""

_CURRENCY: Final = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (cents, yen, fils) and its ISO 4217 currency code; 0 means free.

    Only the form of the code is checked here; the adapter that receives it checks that the currency exists.

    Raises:
        ValidationError: at ``/amount`` or ``/currency``, if the value is not allowed.
    """

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if isinstance(self.amount, bool) or not isinstance(self.amount, int):
            raise ValidationError("/amount", "must be a whole number of minor units, such as 1990 for 19.90 USD")
        if not 0 <= self.amount <= AMOUNT_MAX:
            raise ValidationError("/amount", f"must be from 0 to {AMOUNT_MAX}")
        if not _CURRENCY.fullmatch(self.currency):
            raise ValidationError("/currency", "must be an ISO 4217 code of three capital letters")

    @property
    def is_free(self) -> bool:
        """Whether the amount is zero."""
        return self.amount == 0
