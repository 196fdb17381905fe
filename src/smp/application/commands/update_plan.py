"""Change a plan: its texts in place, its terms by a new revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, TypeVar

from smp.application.caller import Caller
from smp.application.event_metadata import EventMetadataFactory
from smp.application.outcomes import PlanOutcome
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.preconditions import VersionPrecondition, require_version
from smp.application.queries.views import PlanView
from smp.domain.errors import ValidationError
from smp.domain.features import Features, FeatureValue, features
from smp.domain.money import Money
from smp.domain.period import Period
from smp.domain.plan.plan import Plan, Terms


class Unchanged(Enum):
    """The type of :data:`UNCHANGED`."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
"""Leaves a member as it is: ``None`` is a value of its own."""

Value = TypeVar("Value")
Kept = Literal[Unchanged.UNCHANGED]


@dataclass(frozen=True, slots=True)
class PlanPatch:
    """A merge patch of a plan (RFC 7396): absent members stay, and in ``features`` ``None`` removes a key.

    ``features=None`` removes all of them.
    """

    name: str | Kept = UNCHANGED
    description: str | Kept = UNCHANGED
    amount: int | Kept = UNCHANGED
    currency: str | Kept = UNCHANGED
    period: Period | Kept | None = UNCHANGED
    trial_period: Period | Kept | None = UNCHANGED
    features: Mapping[str, FeatureValue | None] | None = field(default_factory=dict)

    def terms(self, old: Terms) -> Terms:
        """The terms after the patch. Raises ValidationError at the member."""
        try:
            price = Money(_new(self.amount, old.price.amount), _new(self.currency, old.price.currency))
        except ValidationError as refusal:
            raise refusal.at("/price") from None
        return Terms(
            price,
            _new(self.period, old.period),
            _new(self.trial_period, old.trial_period),
            self._features(old.features),
        )

    def _features(self, old: Features) -> Features:
        if self.features is None:
            return features({})
        merged = {key: value for key, value in (dict(old) | dict(self.features)).items() if value is not None}
        try:
            return features(merged)
        except ValidationError as refusal:
            raise refusal.at("/features") from None


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """An administrator changes the plan with this code or id."""

    plan: str
    patch: PlanPatch
    expected: VersionPrecondition | None = None


@dataclass(frozen=True, slots=True)
class UpdatePlanHandler:
    """Nobody's terms change under them: subscriptions stay bound to the revision they were made under."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator

    async def __call__(self, command: UpdatePlan, caller: Caller) -> PlanOutcome:
        """The plan as it now is.

        Raises:
            PlanNotFound: where there is none.
            StaleVersion: where it is not as expected.
            ValidationError: at the bad member.
        """
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work() as work:
            plan = await work.plans.get(command.plan, for_change=True)
            require_version(command.expected, plan.version)
            changed = _apply(command.patch, plan, new_metadata)
            if changed.events:
                await work.plans.save(changed)
            await work.commit()
        return PlanOutcome(PlanView.of(changed))


def _apply(patch: PlanPatch, plan: Plan, new_metadata: EventMetadataFactory) -> Plan:
    return plan.update(
        _new(patch.name, plan.name),
        _new(patch.description, plan.description),
        patch.terms(plan.revision.terms),
        new_metadata,
    )


def _new(value: Value | Kept, old: Value) -> Value:
    return old if value is UNCHANGED else value
