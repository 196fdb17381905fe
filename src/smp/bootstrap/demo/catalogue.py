"""The plans of the demo, with their history."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from smp.bootstrap.demo.seeded_random import SeededRandom
from smp.domain.events import SYSTEM, EventMetadata
from smp.domain.features import FeatureValue, features
from smp.domain.money import Money
from smp.domain.period import Period
from smp.domain.plan.plan import Plan, PlanRevision, Terms

HISTORY: Final = timedelta(days=730)
"""How far back the demo data reach."""

CODE_PREFIX: Final = "demo-"
"""The prefix of the demo plans' codes, so that they are not mistaken for real ones."""

LANDMARK: Final = "demo-pro"
"""The plan whose presence shows that the demo data are loaded."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan with its history, its popularity, and the instant when it was archived, if it was.

    ``steps`` are the plan after its creation and after each change, each with the events of that step only.
    """

    steps: tuple[Plan, ...]
    weight: int
    closed_at: datetime | None = None

    @property
    def plan(self) -> Plan:
        """The plan as it is now."""
        return self.steps[-1]

    @property
    def revisions(self) -> tuple[PlanRevision, ...]:
        """All revisions, oldest first."""
        return tuple({step.revision.number: step.revision for step in self.steps}.values())

    def revision_at(self, at: datetime) -> PlanRevision:
        """Return the revision that a subscription begun at that instant got."""
        return [revision for revision in self.revisions if revision.created_at <= at][-1]

    def is_open_at(self, at: datetime) -> bool:
        """Return whether users could subscribe at that instant."""
        return self.closed_at is None or at < self.closed_at


@dataclass(frozen=True, slots=True)
class _Draft:
    code: str
    name: str
    description: str
    weight: int
    terms: tuple[tuple[int, Terms], ...]
    """The terms, and how many days before the end of the history they came into force."""
    closed_days_ago: int | None = None


def catalogue(now: datetime, random: SeededRandom) -> tuple[Offer, ...]:
    """Return all plans, created two years and a day before ``now`` and changed since."""
    return tuple(_offer(draft, now, random) for draft in _DRAFTS)


def _offer(draft: _Draft, now: datetime, random: SeededRandom) -> Offer:
    def metadata_at(at: datetime) -> EventMetadata:
        return EventMetadata(at, SYSTEM, random.id_at(at))

    created_at = now - HISTORY - timedelta(days=1)
    plan_id = random.id_at(created_at)
    steps = [
        Plan.create(plan_id, draft.code, draft.name, draft.description, draft.terms[0][1], metadata_at(created_at))
    ]
    for days_ago, terms in draft.terms[1:]:
        metadata = metadata_at(now - timedelta(days=days_ago))
        before = replace(steps[-1], events=())
        steps.append(before.update(before.name, before.description, terms, partial(replace, metadata)))
    if draft.closed_days_ago is None:
        return Offer(tuple(steps), draft.weight)
    closed_at = now - timedelta(days=draft.closed_days_ago)
    steps.append(replace(steps[-1], events=()).archive(metadata_at(closed_at)))
    return Offer(tuple(steps), draft.weight, closed_at)


def _terms(price: Money, period: str | None, trial: str | None, **values: FeatureValue) -> Terms:
    return Terms(
        price,
        None if period is None else Period.parse(period),
        None if trial is None else Period.parse(trial),
        features(values),
    )


_DRAFTS: Final = (
    _Draft(
        "demo-free",
        "Free",
        "For trying things out, as long as you like.",
        14,
        ((0, _terms(Money(0, "USD"), None, None, projects=1, seats=1, export=False, support="community")),),
    ),
    _Draft(
        "demo-starter",
        "Starter",
        "For one person with plans.",
        34,
        (
            (0, _terms(Money(790, "USD"), "P1M", "P14D", projects=5, seats=1, export=True, support="community")),
            (400, _terms(Money(990, "USD"), "P1M", "P14D", projects=5, seats=1, export=True, support="email")),
        ),
    ),
    _Draft(
        "demo-pro",
        "Pro",
        "For growing teams.",
        30,
        (
            (0, _terms(Money(2_400, "USD"), "P1M", "P30D", projects=50, seats=5, export=True, support="email")),
            (500, _terms(Money(2_900, "USD"), "P1M", "P30D", projects=50, seats=5, export=True, support="email")),
            (
                120,
                _terms(
                    Money(2_900, "USD"), "P1M", "P14D", projects=100, seats=10, export=True, audit=True, support="email"
                ),
            ),
        ),
    ),
    _Draft(
        "demo-business",
        "Business",
        "For companies, a year at a time.",
        10,
        (
            (
                0,
                _terms(
                    Money(99_000, "EUR"),
                    "P1Y",
                    "P1M",
                    projects=1_000,
                    seats=100,
                    export=True,
                    audit=True,
                    sso=True,
                    support="priority",
                ),
            ),
        ),
    ),
    _Draft(
        "demo-classic",
        "Classic",
        "No longer offered; its subscribers keep it.",
        22,
        ((0, _terms(Money(1_200, "USD"), "P1M", "P7D", projects=10, seats=2, export=True, support="community")),),
        closed_days_ago=380,
    ),
    _Draft(
        "demo-lifetime",
        "Lifetime",
        "Paid once, for good.",
        4,
        ((0, _terms(Money(49_900, "USD"), None, None, projects=50, seats=3, export=True, support="email")),),
    ),
)
