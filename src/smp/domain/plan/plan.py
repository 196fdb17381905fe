"""The plan aggregate: an offer whose terms are immutable revisions."""

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
    """The statuses of a plan: ``active`` plans take new subscriptions, ``archived`` plans do not."""

    ACTIVE = "active"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a subscriber is promised: price, period, trial period and features.

    A ``period`` of ``None`` means a plan for life, and a ``trial_period`` of ``None`` a plan without a trial.
    """

    price: Money
    period: Period | None
    trial_period: Period | None
    features: Features

    def same_as(self, other: Terms) -> bool:
        """Return whether both are the same terms, including the type of each feature's value."""
        return self == other and same(self.features, other.features)


@dataclass(frozen=True, slots=True)
class PlanRevision:
    """One immutable set of a plan's terms. A subscription stays bound to one revision."""

    plan_id: UUID
    number: int
    terms: Terms
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """An immutable plan at its newest revision.

    Each method that changes the plan returns a new value, with the events of the change in ``events``. ``version``
    grows by one with each event, and ``changed_at`` is when the last one occurred: no later event is dated before it.
    """

    id: UUID
    code: str
    name: str
    description: str
    status: PlanStatus
    revision: PlanRevision
    version: int
    created_at: datetime
    changed_at: datetime
    events: tuple[DomainEvent, ...] = ()

    @classmethod
    def create(
        cls, plan_id: UUID, code: str, name: str, description: str, terms: Terms, metadata: EventMetadata
    ) -> Plan:
        """Create an active plan at revision 1.

        Raises:
            ValidationError: if the code, name or description is not allowed.
        """
        if not _CODE.fullmatch(code):
            raise ValidationError("/code", "must be 1 to 63 characters of a-z, 0-9 and -, and must not begin with -")
        if _ID.fullmatch(code):
            raise ValidationError(
                "/code", "must not have the form of a UUID, because that would be read as a plan's id"
            )
        _check_texts(name, description)
        revision = PlanRevision(plan_id, 1, terms, metadata.at)
        plan = cls(plan_id, code, name, description, PlanStatus.ACTIVE, revision, 0, metadata.at, metadata.at)
        return plan._record(PlanEventType.CREATED, metadata, {"code": code, "name": name, **_terms_data(revision)})

    @property
    def is_archived(self) -> bool:
        """Whether the plan takes no new subscriptions."""
        return self.status is PlanStatus.ARCHIVED

    def update(self, name: str, description: str, terms: Terms, new_metadata: Callable[[], EventMetadata]) -> Plan:
        """Return the plan with this name, description and terms; only changed terms create a revision.

        ``new_metadata`` is called once for each event, because each event has its own id: a change of name or
        description is one event, and a change of terms another.

        Raises:
            ValidationError: if the name or description is not allowed.
        """
        _check_texts(name, description)
        plan = self
        if (name, description) != (self.name, self.description):
            plan = replace(plan, name=name, description=description)._record(
                PlanEventType.UPDATED, new_metadata(), {"name": name, "description": description}
            )
        if not terms.same_as(self.revision.terms):
            metadata = new_metadata().not_before(plan.changed_at)
            revision = PlanRevision(self.id, self.revision.number + 1, terms, metadata.at)
            plan = replace(plan, revision=revision)._record(PlanEventType.REVISED, metadata, _terms_data(revision))
        return plan

    def archive(self, metadata: EventMetadata) -> Plan:
        """Close the plan to new subscriptions. Existing ones continue. Archiving an archived plan changes nothing."""
        if self.is_archived:
            return self
        return replace(self, status=PlanStatus.ARCHIVED)._record(PlanEventType.ARCHIVED, metadata, {})

    def restore(self, metadata: EventMetadata) -> Plan:
        """Open the plan to new subscriptions again. Restoring an active plan changes nothing."""
        if not self.is_archived:
            return self
        return replace(self, status=PlanStatus.ACTIVE)._record(PlanEventType.RESTORED, metadata, {})

    def _record(self, type_: PlanEventType, metadata: EventMetadata, data: dict[str, object]) -> Plan:
        version = self.version + 1
        metadata = metadata.not_before(self.changed_at)
        event = metadata.event(type_, self.id, data, version=version)
        return replace(self, version=version, changed_at=metadata.at, events=(*self.events, event))


def _check_texts(name: str, description: str) -> None:
    if not name.strip() or len(name) > NAME_MAX or not is_storable(name):
        raise ValidationError("/name", f"must be a text of 1 to {NAME_MAX} characters that are not all blank")
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
