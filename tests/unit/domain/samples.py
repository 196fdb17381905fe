"""Small true examples that the tests of the domain are made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from uuid import UUID

from smp.domain.events import Actor, ActorType, EventMetadata
from smp.domain.features import FeatureValue, features
from smp.domain.money import Money
from smp.domain.period import Period
from smp.domain.plan.plan import PlanRevision, Terms
from smp.domain.subscription.subscription import Subscription

USER_ID = UUID(int=1)
PLAN_ID = UUID(int=2)
OTHER_PLAN_ID = UUID(int=3)
SUBSCRIPTION_ID = UUID(int=4)

USER = Actor(ActorType.USER, USER_ID)
ADMIN = Actor(ActorType.ADMIN, UUID(int=5))

START = datetime(2024, 1, 31, 10, 30, tzinfo=UTC)
TRIAL_END = datetime(2024, 2, 14, 10, 30, tzinfo=UTC)
FIRST_END = datetime(2024, 2, 29, 10, 30, tzinfo=UTC)
SECOND_END = datetime(2024, 3, 31, 10, 30, tzinfo=UTC)
NOW = datetime(2024, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
"""Within the trial and within the first paid period."""
LATER = datetime(2025, 6, 1, tzinfo=UTC)
"""Long after both."""

_event_ids = count(1_000)


def metadata(at: datetime, actor: Actor = USER) -> EventMetadata:
    """A cause with an event id that no other has."""
    return EventMetadata(at, actor, UUID(int=next(_event_ids)))


def terms(
    amount: int = 1_990,
    currency: str = "USD",
    period: str | None = "P1M",
    trial: str | None = "P14D",
    values: Mapping[str, FeatureValue] | None = None,
) -> Terms:
    """Terms of a plan that costs 19.90 USD a month after a fortnight's trial, unless told otherwise."""
    return Terms(
        Money(amount, currency),
        None if period is None else Period.parse(period),
        None if trial is None else Period.parse(trial),
        features({"export": True, "seats": 5} if values is None else values),
    )


def revision(of: Terms | None = None, plan_id: UUID = PLAN_ID, number: int = 1) -> PlanRevision:
    """A revision of these terms."""
    return PlanRevision(plan_id, number, terms() if of is None else of, START)


MONTHLY = revision()
LIFETIME = revision(terms(period=None))


def trial() -> Subscription:
    """A fortnight's trial that began at START."""
    return Subscription.start_trial(SUBSCRIPTION_ID, USER_ID, MONTHLY, metadata(START))


def active() -> Subscription:
    """A monthly subscription that began at START."""
    return Subscription.activate(SUBSCRIPTION_ID, USER_ID, MONTHLY, metadata(START))


def lifetime() -> Subscription:
    """A subscription for life that began at START."""
    return Subscription.activate(SUBSCRIPTION_ID, USER_ID, LIFETIME, metadata(START))
