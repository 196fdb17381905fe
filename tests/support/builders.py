"""Builders of valid values for all tests: a test states only the values that it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

from smp.adapters.system.id_generator import Uuid7IdGenerator
from smp.application.caller import ALL_SCOPES, Caller
from smp.application.idempotency import IdempotencyKey
from smp.application.outcomes import UserOutcome
from smp.application.queries.views import UserView
from smp.domain.api_key import ApiKey
from smp.domain.events import SYSTEM, Actor, ActorType, EventMetadata
from smp.domain.features import FeatureValue, features
from smp.domain.money import Money
from smp.domain.period import Period
from smp.domain.plan.plan import Plan, PlanRevision, Terms
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.session import Session, SessionPolicy, Timeouts
from smp.domain.user.user import Email, Role, User

NOW: Final = datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)
"""The instant at which most tests begin: the last day of a long month, and with microseconds."""

DAY: Final = timedelta(days=1)
TICK: Final = timedelta(microseconds=1)
"""The smallest step of time that is kept."""

IDS: Final = Uuid7IdGenerator()
PASSWORD: Final = "correct horse battery staple"
ADMIN: Final = Actor(ActorType.ADMIN, UUID("01900000-0000-7000-8000-0000000000ad"))
ADMIN_CALLER: Final = Caller(ADMIN, ALL_SCOPES)
SESSIONS: Final = SessionPolicy(
    user=Timeouts(idle=timedelta(days=7), absolute=timedelta(days=30)),
    admin=Timeouts(idle=timedelta(minutes=30), absolute=timedelta(hours=12)),
)


def some_metadata(at: datetime = NOW, actor: Actor = SYSTEM) -> EventMetadata:
    """Return metadata with a new event id."""
    return EventMetadata(at, actor, IDS.new())


def some_terms(
    amount: int = 1990,
    currency: str = "USD",
    period: str | None = "P1M",
    trial: str | None = "P14D",
    **values: FeatureValue,
) -> Terms:
    """Return terms at 19.90 USD a month with a trial of two weeks, five seats and export."""
    return Terms(
        Money(amount, currency),
        None if period is None else Period.parse(period),
        None if trial is None else Period.parse(trial),
        features(values or {"export": True, "seats": 5}),
    )


def a_plan(code: str = "pro", terms: Terms | None = None, at: datetime = NOW) -> Plan:
    """Return an active plan with a trial."""
    return Plan.create(
        IDS.new(), code, code.title(), f"The {code} plan", terms or some_terms(), some_metadata(at, ADMIN)
    )


def a_user(
    email: str = "ann@example.com",
    role: Role = Role.USER,
    password_hash: str = "a hash",  # noqa: S107 - no password has it
    at: datetime = NOW,
) -> User:
    """Return an enabled user."""
    user_id = IDS.new()
    return User.register(user_id, Email(email), password_hash, role, some_metadata(at, Actor(ActorType.USER, user_id)))


def an_admin(email: str = "root@example.com") -> User:
    """Return an enabled administrator."""
    return a_user(email, Role.ADMIN)


def actor_of(user: User) -> Actor:
    """Return the user as an actor."""
    return Actor(ActorType.ADMIN if user.role is Role.ADMIN else ActorType.USER, user.id)


def caller_of(user: User, session_id: UUID | None = None) -> Caller:
    """Return the user as a caller, signed in with this session."""
    return Caller.of_session(UserView.of(user), session_id or IDS.new())


def a_trial(user: User, plan: Plan | PlanRevision, at: datetime = NOW) -> Subscription:
    """Return a trial of the plan's newest revision, started by the user."""
    return Subscription.start_trial(IDS.new(), user.id, _revision(plan), some_metadata(at, actor_of(user)))


def an_active(user: User, plan: Plan | PlanRevision, at: datetime = NOW) -> Subscription:
    """Return a paid subscription to the plan's newest revision, activated by the user."""
    return Subscription.activate(IDS.new(), user.id, _revision(plan), some_metadata(at, actor_of(user)))


def a_session(user: User, secret: str = "a token", at: datetime = NOW) -> Session:  # noqa: S107
    """Return a session of the user."""
    digest = sha256(a_token(user, secret).encode()).digest()
    return Session(IDS.new(), user.id, digest, at, at, "192.0.2.1", "Mozilla/5.0")


def a_token(user: User, secret: str = "a token") -> str:  # noqa: S107
    """Return a session token of the user with this random part."""
    return f"{user.id.hex}{secret}"


def an_api_key(name: str = "shop", secret: str = "a secret", at: datetime = NOW) -> ApiKey:  # noqa: S107
    """Return the API key of a service."""
    return ApiKey(IDS.new(), name, sha256(secret.encode()).digest(), at)


def a_key(
    key: str = "a key", fingerprint: bytes = b"a fingerprint", caller: str = "user:ann", at: datetime = NOW
) -> IdempotencyKey:
    """Return the key of an idempotent request."""
    return IdempotencyKey(caller, key, fingerprint, at)


def an_outcome(user: User | None = None) -> UserOutcome:
    """Return the outcome of a request that registered the user."""
    return UserOutcome(UserView.of(user or a_user()), created=True)


def _revision(plan: Plan | PlanRevision) -> PlanRevision:
    return plan.revision if isinstance(plan, Plan) else plan


# Fixed values for tests that compare dates: a subscription from START, with a trial of 14 days or a monthly period.

USER_ID: Final = UUID(int=1)
PLAN_ID: Final = UUID(int=2)
OTHER_PLAN_ID: Final = UUID(int=3)
SUBSCRIPTION_ID: Final = UUID(int=4)
USER: Final = Actor(ActorType.USER, USER_ID)

START: Final = datetime(2024, 1, 31, 10, 30, tzinfo=UTC)
DURING: Final = datetime(2024, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
"""An instant within the trial and within the first paid period."""
TRIAL_END: Final = datetime(2024, 2, 14, 10, 30, tzinfo=UTC)
FIRST_END: Final = datetime(2024, 2, 29, 10, 30, tzinfo=UTC)
SECOND_END: Final = datetime(2024, 3, 31, 10, 30, tzinfo=UTC)
LATER: Final = datetime(2025, 6, 1, tzinfo=UTC)
"""An instant long after all of these ends."""


def a_revision(terms: Terms | None = None, plan_id: UUID = PLAN_ID, number: int = 1) -> PlanRevision:
    """Return a revision with these terms."""
    return PlanRevision(plan_id, number, terms or some_terms(), START)


MONTHLY: Final = a_revision()
LIFETIME: Final = a_revision(some_terms(period=None))


def monthly_trial() -> Subscription:
    """Return a trial of 14 days that began at START."""
    return Subscription.start_trial(SUBSCRIPTION_ID, USER_ID, MONTHLY, some_metadata(START, USER))


def monthly_active() -> Subscription:
    """Return a monthly subscription that began at START."""
    return Subscription.activate(SUBSCRIPTION_ID, USER_ID, MONTHLY, some_metadata(START, USER))


def lifetime_active() -> Subscription:
    """Return a subscription for life that began at START."""
    return Subscription.activate(SUBSCRIPTION_ID, USER_ID, LIFETIME, some_metadata(START, USER))
