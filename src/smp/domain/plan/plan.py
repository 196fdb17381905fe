"""The plan aggregate: a tariff template whose terms are immutable revisions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from smp.domain.errors import ValidationError
from smp.domain.events import DomainEvent, EventMetadata
from smp.domain.features import Features, same
from smp.domain.money import Money
from smp.domain.period import Period
from smp.domain.plan.events import PlanEventType
from smp.domain.text import is_storable

CODE_PATTERN: Final = r"[a-z0-9][a-z0-9-]{0,62}"
NAME_MAX: Final = 200
DESCRIPTION_MAX: Final = 2_000

_CODE: Final = re.compile(CODE_PATTERN)
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class PlanStatus(StrEnum):
    """Whether a plan takes new subscriptions."""

    ACTIVE = "active"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a subscriber is promised: price, paid period (``None``: for life), trial (``None``: no trial), features."""

    price: Money
    period: Period | None
    trial_period: Period | None
    features: Features

    def same_as(self, others: Terms) -> bool:
        """Whether these are the same terms, to the type of each feature's value."""
        return self == others and same(self.features, others.features)


@dataclass(frozen=True, slots=True)
class PlanRevision:
    """One immutable set of terms; a subscription is bound to the one it was made under."""

    plan_id: UUID
    number: int
    terms: Terms
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """A tariff template; each verb returns a new value with the events of the change in ``events``.

    ``version`` counts the plan's events: it grows by one with each.
    """

    id: UUID
    code: str
    name: str
    description: str
    status: PlanStatus
    revision: PlanRevision
    version: int
    created_at: datetime
    events: tuple[DomainEvent, ...] = ()

    @classmethod
    def create(
        cls, plan_id: UUID, code: str, name: str, description: str, terms: Terms, metadata: EventMetadata
    ) -> Plan:
        """A new active plan at revision 1.

        Raises:
            ValidationError: for a bad code, name or description.
        """
        if not _CODE.fullmatch(code):
            raise ValidationError("/code", "must be a slug of a-z, 0-9 and -, up to 63 characters")
        if _ID.fullmatch(code):
            raise ValidationError("/code", "must not look like an id, by which plans are named too")
        _check_texts(name, description)
        revision = PlanRevision(plan_id, 1, terms, metadata.at)
        plan = cls(plan_id, code, name, description, PlanStatus.ACTIVE, revision, 0, metadata.at)
        return plan._record(PlanEventType.CREATED, metadata, {"code": code, "name": name, **_terms_data(revision)})

    @property
    def is_archived(self) -> bool:
        """Whether the plan takes no new subscriptions."""
        return self.status is PlanStatus.ARCHIVED

    def update(self, name: str, description: str, terms: Terms, new_metadata: Callable[[], EventMetadata]) -> Plan:
        """The plan with this name, description and terms; new terms make revision n+1, equal ones nothing.

        ``new_metadata`` gives metadata with a new event id: a change of terms and one of texts are two events.

        Raises:
            ValidationError: for a bad name or description.
        """
        _check_texts(name, description)
        plan = self
        if (name, description) != (self.name, self.description):
            plan = replace(plan, name=name, description=description)._record(
                PlanEventType.UPDATED, new_metadata(), {"name": name, "description": description}
            )
        if not terms.same_as(self.revision.terms):
            metadata = new_metadata()
            revision = PlanRevision(self.id, self.revision.number + 1, terms, metadata.at)
            plan = replace(plan, revision=revision)._record(PlanEventType.REVISED, metadata, _terms_data(revision))
        return plan

    def archive(self, metadata: EventMetadata) -> Plan:
        """The plan closed to new subscriptions; running ones are untouched. Archiving twice changes nothing."""
        if self.is_archived:
            return self
        return replace(self, status=PlanStatus.ARCHIVED)._record(PlanEventType.ARCHIVED, metadata, {})

    def restore(self, metadata: EventMetadata) -> Plan:
        """The plan open again. Restoring an active plan changes nothing."""
        if not self.is_archived:
            return self
        return replace(self, status=PlanStatus.ACTIVE)._record(PlanEventType.RESTORED, metadata, {})

    def _record(self, type_: PlanEventType, metadata: EventMetadata, data: dict[str, object]) -> Plan:
        version = self.version + 1
        event = metadata.event(type_, self.id, data, version=version)
        return replace(self, version=version, events=(*self.events, event))


def _check_texts(name: str, description: str) -> None:
    if not name.strip() or len(name) > NAME_MAX or not is_storable(name):
        raise ValidationError("/name", f"must be a text of 1 to {NAME_MAX} characters that is not blank")
    if len(description) > DESCRIPTION_MAX or not is_storable(description):
        raise ValidationError("/description", f"must be a text of up to {DESCRIPTION_MAX} characters")


def _terms_data(revision: PlanRevision) -> dict[str, object]:
    terms = revision.terms
    return {
        "revision": revision.number,
        "price": {"amount": terms.price.amount, "currency": terms.price.currency},
        "period": None if terms.period is None else str(terms.period),
        "trial_period": None if terms.trial_period is None else str(terms.trial_period),
        "features": dict(terms.features),
    }
