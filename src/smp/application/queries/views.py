"""The views: frozen data as callers see them, at one instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from uuid import UUID

from smp.domain.events import Actor
from smp.domain.features import Features
from smp.domain.money import Money
from smp.domain.period import Period
from smp.domain.plan.plan import Plan, PlanRevision, PlanStatus
from smp.domain.subscription.lifecycle import Status
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.user import Role, User


@dataclass(frozen=True, slots=True)
class UserView:
    """An account."""

    id: UUID
    email: str
    role: Role
    disabled: bool
    created_at: datetime

    @classmethod
    def of(cls, user: User) -> UserView:
        """Return the view of the account."""
        return cls(user.id, user.email.text, user.role, user.disabled, user.created_at)


@dataclass(frozen=True, slots=True)
class SessionView:
    """A signed-in browser; ``expires_at`` is its end if it is not used again."""

    id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    source: str
    user_agent: str
    current: bool


@dataclass(frozen=True, slots=True)
class RevisionView:
    """One immutable set of a plan's terms."""

    revision: int
    price: Money
    period: Period | None
    trial_period: Period | None
    features: Features
    created_at: datetime

    @classmethod
    def of(cls, revision: PlanRevision) -> RevisionView:
        """Return the view of the revision."""
        terms = revision.terms
        return cls(revision.number, terms.price, terms.period, terms.trial_period, terms.features, revision.created_at)


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan at its newest revision."""

    id: UUID
    code: str
    name: str
    description: str
    status: PlanStatus
    revision: RevisionView
    version: int
    created_at: datetime

    @classmethod
    def of(cls, plan: Plan) -> PlanView:
        """Return the view of the plan."""
        return cls(
            plan.id,
            plan.code,
            plan.name,
            plan.description,
            plan.status,
            RevisionView.of(plan.revision),
            plan.version,
            plan.created_at,
        )


@dataclass(frozen=True, slots=True)
class PlanReference:
    """The plan and the revision that a subscription is bound to."""

    id: UUID
    code: str
    name: str
    revision: int


@dataclass(frozen=True, slots=True)
class SubscriptionView:
    """A subscription in its effective state at one instant."""

    id: UUID
    user_id: UUID
    plan: PlanReference
    status: Status
    price: Money
    features: Features
    trial_ends_at: datetime | None
    starts_at: datetime
    ends_at: datetime | None
    cancel_at: datetime | None
    cancelled_at: datetime | None
    ended_at: datetime | None
    version: int
    created_at: datetime

    @classmethod
    def of(
        cls, subscription: Subscription, plan: PlanReference, price: Money, features: Features, now: datetime
    ) -> SubscriptionView:
        """Return the view of the subscription in its effective state at ``now``."""
        seen = subscription.as_of(now)
        return cls(
            id=seen.id,
            user_id=seen.user_id,
            plan=plan,
            status=seen.status,
            price=price,
            features=features,
            trial_ends_at=seen.trial_ends_at,
            starts_at=seen.starts_at,
            ends_at=seen.ends_at,
            cancel_at=seen.cancel_at,
            cancelled_at=seen.cancelled_at,
            ended_at=seen.ended_at,
            version=seen.version,
            created_at=seen.created_at,
        )

    @classmethod
    def bound_to(
        cls, subscription: Subscription, plan: Plan, revision: PlanRevision, now: datetime
    ) -> SubscriptionView:
        """Return the view of the subscription, bound to this plan and revision, at ``now``."""
        reference = PlanReference(plan.id, plan.code, plan.name, revision.number)
        return cls.of(subscription, reference, revision.terms.price, revision.terms.features, now)


@dataclass(frozen=True, slots=True)
class EventView:
    """One event of a subscription."""

    id: UUID
    type: str
    occurred_at: datetime
    actor: Actor
    subscription_id: UUID
    user_id: UUID
    data: Mapping[str, object]
    version: int


@dataclass(frozen=True, slots=True)
class AccessView:
    """All features that a user has at one instant; none for a disabled user, or without a live subscription."""

    user_id: UUID
    status: Status | None
    plan: str | None
    features: Features
    until: datetime | None
    disabled: bool


@dataclass(frozen=True, slots=True)
class PlanCount:
    """The numbers of a plan's live subscriptions."""

    plan: str
    trial: int
    active: int


@dataclass(frozen=True, slots=True)
class RevisionRevenue:
    """The number of active subscriptions that pay this price for every period."""

    price: Money
    period: Period
    active: int

    @property
    def monthly(self) -> Fraction:
        """The exact revenue in a month, in minor units."""
        return self.price.amount * self.active / self.period.months


@dataclass(frozen=True, slots=True)
class Revenue:
    """A sum in minor units of one currency; unlike a price it has no upper bound."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class TrialCounts:
    """The numbers of trials: all that were started, and those that are running or were converted.

    A trial is converted by an activation with a price; one that became a free subscription is lost.
    """

    started: int
    running: int
    converted: int

    @property
    def lost(self) -> int:
        """The number of trials that ended without a conversion."""
        return self.started - self.running - self.converted

    @property
    def conversion_rate(self) -> float | None:
        """The share of converted trials among those that have ended or were converted; ``None`` if there are none."""
        decided = self.converted + self.lost
        return self.converted / decided if decided else None


@dataclass(frozen=True, slots=True)
class StatisticsView:
    """The statistics of the platform at one instant."""

    as_of: datetime
    users: int
    subscriptions: Mapping[Status, int]
    by_plan: Sequence[PlanCount]
    mrr: Sequence[Revenue]
    trials: TrialCounts
    ending_within_7_days: int


@dataclass(frozen=True, slots=True)
class ApiKeyView:
    """The key of a service, without its secret."""

    id: UUID
    name: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check; ``advice`` says what to do if it is not ``ok``."""

    check: str
    ok: bool
    detail: str
    advice: str = ""
