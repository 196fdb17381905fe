"""Money: an integer count of a currency's minor unit; never a float."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from smp.domain.errors import ValidationError

AMOUNT_MAX: Final = 999_999_999_999_999
"""The largest amount in minor units: exact in a JSON number of any client (below 2**53)."""

_CURRENCY: Final = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (cents, or yen, or fils) with its ISO 4217 code; 0 is free, negative is refused.

    Which codes exist is checked where they enter; here only their shape is.

    Raises:
        ValidationError: at ``/amount`` or ``/currency``.
    """

    amount: int
    currency: str

    def __post_init__(self) -> None:
        if isinstance(self.amount, bool) or not isinstance(self.amount, int):
            raise ValidationError("/amount", "must be an integer count of minor units")
        if not 0 <= self.amount <= AMOUNT_MAX:
            raise ValidationError("/amount", f"must be from 0 to {AMOUNT_MAX}")
        if not _CURRENCY.fullmatch(self.currency):
            raise ValidationError("/currency", "must be an ISO 4217 code of three capital letters")

    @property
    def is_free(self) -> bool:
        """Whether nothing is to be paid."""
        return self.amount == 0
