"""What all wire types share: strictness, and the formats of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import iso4217
import msgspec

from smp.domain.features import FEATURES_MAX, KEY_PATTERN, LIMIT_MAX, TEXT_MAX, FeatureValue
from smp.domain.money import AMOUNT_MAX, Money
from smp.domain.plan.plan import CODE_PATTERN, DESCRIPTION_MAX, NAME_MAX

CURRENCIES: Final = tuple(sorted(c.code for c in iso4217.Currency if c.exponent is not None))
"""The ISO 4217 codes that money can be in: those with a minor unit, so not gold, baskets or tests."""


class RequestModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body that is read; a typo is an error, not a silence."""

    def __repr__(self) -> str:
        """Its kind alone: what a client sent may be a secret, and a representation may end up in a log."""
        return f"<{type(self).__name__}>"


class EmptyBody(RequestModel, frozen=True):
    """Nothing more to say."""


class ResponseModel(msgspec.Struct, frozen=True):
    """A body that is written."""


Code = Annotated[
    str,
    msgspec.Meta(
        pattern=f"^{CODE_PATTERN}\\Z", description="a slug of a-z, 0-9 and -, up to 63 characters", examples=["pro"]
    ),
]
Name = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=NAME_MAX,
        pattern=r"^[^\x00]*[^\s\x00][^\x00]*\Z",
        description="a text that is not blank",
        examples=["Pro"],
    ),
]
Description = Annotated[
    str,
    msgspec.Meta(
        max_length=DESCRIPTION_MAX, pattern=r"^[^\x00]*\Z", description="a text", examples=["For growing teams"]
    ),
]
PeriodText = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^P(?:[1-9][0-9]{0,9}[DWMY]|T[1-9][0-9]{0,9}[HMS])\Z",
        description="an ISO 8601 duration of one unit, such as PT12H, P14D, P2W, P1M or P1Y, up to 100 years",
        examples=["P1M"],
    ),
]
Amount = Annotated[
    int,
    msgspec.Meta(ge=0, le=AMOUNT_MAX, description="a count of the currency's minor unit", examples=[1990]),
]
CurrencyCode = Annotated[
    str,
    msgspec.Meta(
        pattern=f"^(?:{'|'.join(CURRENCIES)})\\Z",
        description="the ISO 4217 code of a currency in use",
        examples=["USD"],
    ),
]
FeatureKey = Annotated[
    str,
    msgspec.Meta(
        pattern=f"^{KEY_PATTERN}\\Z",
        description="a key of a-z, 0-9, _ . - that begins with a letter",
        examples=["seats"],
    ),
]
FeatureLimit = Annotated[int, msgspec.Meta(ge=0, le=LIMIT_MAX, description="a limit")]
FeatureText = Annotated[str, msgspec.Meta(max_length=TEXT_MAX, pattern=r"^[^\x00]*\Z", description="a text")]
FeatureMap = Annotated[
    dict[FeatureKey, bool | FeatureLimit | FeatureText],
    msgspec.Meta(max_length=FEATURES_MAX, examples=[{"export": True, "seats": 5, "support": "priority"}]),
]
FeaturePatch = Annotated[
    dict[FeatureKey, bool | FeatureLimit | FeatureText | None],
    msgspec.Meta(max_length=FEATURES_MAX, examples=[{"seats": 10, "support": None}]),
]

Id = Annotated[UUID, msgspec.Meta(examples=["01a0b6f2-3c00-7d4e-9a51-5f0c2b7e8d13"])]
Instant = Annotated[datetime, msgspec.Meta(tz=True, examples=["2027-01-31T12:00:00Z"])]
Count = Annotated[int, msgspec.Meta(ge=0, examples=[12])]
Version = Annotated[int, msgspec.Meta(ge=1, examples=[1])]
Cursor = Annotated[
    str | None,
    msgspec.Meta(description="Where the next page begins; `null` on the last page.", examples=[None]),
]
Features = Annotated[
    Mapping[str, FeatureValue],
    msgspec.Meta(
        description="Each feature with its value: true or false, a limit, or a text.",
        examples=[{"export": True, "seats": 5, "support": "priority"}],
    ),
]


class MoneyIn(RequestModel, frozen=True):
    """An integer count of a currency's minor unit; 0 is free."""

    amount: Amount
    currency: CurrencyCode


class MoneyOut(ResponseModel, frozen=True):
    """An integer count of a currency's minor unit."""

    amount: Annotated[int, msgspec.Meta(ge=0, examples=[1990])]
    currency: Annotated[str, msgspec.Meta(examples=["USD"])]

    @classmethod
    def of(cls, money: Money) -> MoneyOut:
        """The money as it is written."""
        return cls(money.amount, money.currency)
