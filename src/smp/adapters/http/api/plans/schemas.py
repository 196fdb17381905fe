"""Wire types of plans."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from smp.adapters.http.wire import (
    Amount,
    Code,
    CurrencyCode,
    Cursor,
    Description,
    FeatureMap,
    FeaturePatch,
    Features,
    Id,
    Instant,
    MoneyIn,
    MoneyOut,
    Name,
    PeriodText,
    RequestModel,
    ResponseModel,
    Version,
)
from smp.application.commands.update_plan import UNCHANGED, PlanPatch
from smp.application.queries.views import PlanView, RevisionView
from smp.domain.errors import ValidationError, collect_errors
from smp.domain.features import features
from smp.domain.money import Money
from smp.domain.period import Period
from smp.domain.plan.plan import PlanStatus, Terms

PeriodOut = Annotated[
    str | None, msgspec.Meta(description="An ISO 8601 duration; `null` if the plan never ends.", examples=["P1M"])
]
TrialPeriodOut = Annotated[
    str | None, msgspec.Meta(description="An ISO 8601 duration; `null` if the plan has no trial.", examples=["P14D"])
]


class PlanIn(RequestModel, frozen=True):
    """A new plan. Without `period` it never ends, without `trial_period` it has no trial."""

    code: Code
    name: Name
    price: MoneyIn
    period: PeriodText | None = None
    description: Description = ""
    trial_period: PeriodText | None = None
    features: FeatureMap = msgspec.field(default_factory=dict)

    def terms(self) -> Terms:
        """The terms. Raises ValidationError for periods over a hundred years."""
        _check_periods(self.period, self.trial_period)
        return Terms(
            Money(self.price.amount, self.price.currency),
            _period(self.period),
            _period(self.trial_period),
            features(self.features),
        )


class MoneyPatch(RequestModel, frozen=True):
    """The members of a price to change."""

    amount: Amount | UnsetType = UNSET
    currency: CurrencyCode | UnsetType = UNSET

    def check(self) -> None:
        """Refuse a currency without an amount: the old number of minor units would be other money.

        Raises:
            ValidationError: at ``/price/amount``.
        """
        if self.amount is UNSET and self.currency is not UNSET:
            raise ValidationError("/price/amount", "must be sent with `currency`, in minor units of that currency")


class PlanPatchIn(RequestModel, frozen=True):
    """The members of a plan to change (RFC 7396): absent ones stay as they are, `null` removes."""

    name: Name | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    price: MoneyPatch | UnsetType = UNSET
    period: PeriodText | UnsetType | None = UNSET
    trial_period: PeriodText | UnsetType | None = UNSET
    features: FeaturePatch | UnsetType | None = UNSET

    def patch(self) -> PlanPatch:
        """Return the patch.

        Raises:
            ValidationError: for periods over a hundred years, and for a currency without an amount.
        """
        price = MoneyPatch() if self.price is UNSET else self.price
        collect_errors(price.check, lambda: _check_periods(_known(self.period), _known(self.trial_period)))
        return PlanPatch(
            name=UNCHANGED if self.name is UNSET else self.name,
            description=UNCHANGED if self.description is UNSET else self.description or "",
            amount=UNCHANGED if price.amount is UNSET else price.amount,
            currency=UNCHANGED if price.currency is UNSET else price.currency,
            period=UNCHANGED if self.period is UNSET else _period(self.period),
            trial_period=UNCHANGED if self.trial_period is UNSET else _period(self.trial_period),
            features={} if self.features is UNSET else self.features,
        )


class PlanOut(ResponseModel, frozen=True):
    """A plan at its newest revision."""

    id: Id
    code: Annotated[str, msgspec.Meta(examples=["pro"])]
    name: Annotated[str, msgspec.Meta(examples=["Pro"])]
    description: Annotated[str, msgspec.Meta(examples=["For growing teams"])]
    status: PlanStatus
    revision: Version
    price: MoneyOut
    period: PeriodOut
    trial_period: TrialPeriodOut
    features: Features
    version: Version
    created_at: Instant

    @classmethod
    def of(cls, plan: PlanView) -> PlanOut:
        """The plan as it is written."""
        return cls(
            plan.id,
            plan.code,
            plan.name,
            plan.description,
            plan.status,
            plan.revision.revision,
            MoneyOut.of(plan.revision.price),
            _text(plan.revision.period),
            _text(plan.revision.trial_period),
            dict(plan.revision.features),
            plan.version,
            plan.created_at,
        )


class RevisionOut(ResponseModel, frozen=True):
    """One immutable set of a plan's terms."""

    revision: Version
    price: MoneyOut
    period: PeriodOut
    trial_period: TrialPeriodOut
    features: Features
    created_at: Instant

    @classmethod
    def of(cls, revision: RevisionView) -> RevisionOut:
        """The revision as it is written."""
        return cls(
            revision.revision,
            MoneyOut.of(revision.price),
            _text(revision.period),
            _text(revision.trial_period),
            dict(revision.features),
            revision.created_at,
        )


class PlansPage(ResponseModel, frozen=True):
    """A page of plans."""

    items: list[PlanOut]
    next_cursor: Cursor


class RevisionsPage(ResponseModel, frozen=True):
    """A page of revisions."""

    items: list[RevisionOut]
    next_cursor: Cursor


def _period(text: str | None) -> Period | None:
    return None if text is None else Period.parse(text)


def _text(period: Period | None) -> str | None:
    return None if period is None else str(period)


def _known(text: str | UnsetType | None) -> str | None:
    return None if text is UNSET else text


def _check_periods(period: str | None, trial_period: str | None) -> None:
    def parse(pointer: str, text: str | None) -> None:
        try:
            _period(text)
        except ValidationError as refusal:
            raise refusal.at(pointer) from None

    collect_errors(lambda: parse("/period", period), lambda: parse("/trial_period", trial_period))
