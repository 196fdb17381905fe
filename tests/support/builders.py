"""Small builders of valid values: a test names only what it is about."""

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


def a_cause(at: datetime = NOW, actor: Actor = SYSTEM) -> EventMetadata:
    """A cause with a fresh event id."""
    return EventMetadata(at, actor, IDS.new())


def some_terms(
    amount: int = 1990,
    currency: str = "USD",
    period: str | None = "P1M",
    trial: str | None = "P14D",
    **values: FeatureValue,
) -> Terms:
    """Terms at 19.90 USD a month with a trial of two weeks, five seats and export."""
    return Terms(
        Money(amount, currency),
        None if period is None else Period.parse(period),
        None if trial is None else Period.parse(trial),
        features(values or {"export": True, "seats": 5}),
    )


def a_plan(code: str = "pro", terms: Terms | None = None, at: datetime = NOW) -> Plan:
    """An active plan with a trial."""
    return Plan.create(IDS.new(), code, code.title(), f"The {code} plan", terms or some_terms(), a_cause(at, ADMIN))


def a_user(
    email: str = "ann@example.com",
    role: Role = Role.USER,
    password_hash: str = "a hash",  # noqa: S107 - no password has it
    at: datetime = NOW,
) -> User:
    """An enabled user."""
    user_id = IDS.new()
    return User.register(user_id, Email(email), password_hash, role, a_cause(at, Actor(ActorType.USER, user_id)))


def an_admin(email: str = "root@example.com") -> User:
    """An enabled administrator."""
    return a_user(email, Role.ADMIN)


def actor_of(user: User) -> Actor:
    """The user as the actor of its own deeds."""
    return Actor(ActorType.ADMIN if user.role is Role.ADMIN else ActorType.USER, user.id)


def caller_of(user: User, session_id: UUID | None = None) -> Caller:
    """The user as a caller, signed in with this session."""
    return Caller.of_session(UserView.of(user), session_id or IDS.new())


def a_trial(user: User, plan: Plan | PlanRevision, at: datetime = NOW) -> Subscription:
    """A trial of the plan's newest revision, begun by the user."""
    return Subscription.start_trial(IDS.new(), user.id, _revision(plan), a_cause(at, actor_of(user)))


def an_active(user: User, plan: Plan | PlanRevision, at: datetime = NOW) -> Subscription:
    """A paid subscription to the plan's newest revision, begun by the user."""
    return Subscription.activate(IDS.new(), user.id, _revision(plan), a_cause(at, actor_of(user)))


def a_session(user: User, secret: str = "a token", at: datetime = NOW) -> Session:  # noqa: S107
    """A browser that the user signed in with."""
    digest = sha256(a_token(user, secret).encode()).digest()
    return Session(IDS.new(), user.id, digest, at, at, "192.0.2.1", "Mozilla/5.0")


def a_token(user: User, secret: str = "a token") -> str:  # noqa: S107
    """The token of a session of the user's that has this for its random part."""
    return f"{user.id.hex}{secret}"


def an_api_key(name: str = "shop", secret: str = "a secret", at: datetime = NOW) -> ApiKey:  # noqa: S107
    """A service's key."""
    return ApiKey(IDS.new(), name, sha256(secret.encode()).digest(), at)


def a_key(
    key: str = "a key", fingerprint: bytes = b"a fingerprint", caller: str = "user:ann", at: datetime = NOW
) -> IdempotencyKey:
    """The key of an idempotent request."""
    return IdempotencyKey(caller, key, fingerprint, at)


def an_outcome(user: User | None = None) -> UserOutcome:
    """The outcome of a request that registered the user."""
    return UserOutcome(UserView.of(user or a_user()), created=True)


def _revision(plan: Plan | PlanRevision) -> PlanRevision:
    return plan.revision if isinstance(plan, Plan) else plan
