"""Update a plan: its name and description in place, its terms by a new revision."""

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
"""The mark of a member that stays as it is; ``None`` is a value."""

Value = TypeVar("Value")
Kept = Literal[Unchanged.UNCHANGED]


@dataclass(frozen=True, slots=True)
class PlanPatch:
    """A merge patch of a plan (RFC 7396).

    Absent members stay as they are. In ``features``, the value ``None`` removes a key. ``features=None`` removes all.
    """

    name: str | Kept = UNCHANGED
    description: str | Kept = UNCHANGED
    amount: int | Kept = UNCHANGED
    currency: str | Kept = UNCHANGED
    period: Period | Kept | None = UNCHANGED
    trial_period: Period | Kept | None = UNCHANGED
    features: Mapping[str, FeatureValue | None] | None = field(default_factory=dict)

    def terms(self, old: Terms) -> Terms:
        """Return the terms after the patch. Raises ValidationError at the member that is not allowed."""
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
    """The command to update the plan with this code or id."""

    plan: str
    patch: PlanPatch
    expected: VersionPrecondition | None = None


@dataclass(frozen=True, slots=True)
class UpdatePlanHandler:
    """The handler of :class:`UpdatePlan`. Existing subscriptions keep the revision that they started with."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator

    async def __call__(self, command: UpdatePlan, caller: Caller) -> PlanOutcome:
        """Update the plan.

        Raises:
            PlanNotFound: if there is no such plan.
            StaleVersion: if the plan does not have the expected version.
            ValidationError: at the member that is not allowed.
        """
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work() as work:
            plan = await work.plans.get(command.plan, for_update=True)
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
