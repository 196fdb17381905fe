"""The samples from which the data sets are multiplied. The domain code makes them, and they are always the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final
from uuid import UUID

from smp.domain.events import SYSTEM, Actor, ActorType, EventMetadata
from smp.domain.features import features
from smp.domain.money import Money
from smp.domain.period import Period
from smp.domain.plan.plan import Plan, PlanRevision, Terms
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.user import Email, Role, User

NOW: Final = datetime(2035, 1, 1, tzinfo=UTC)
"""The present of the data. It is later than any real clock, so what is live here is live for a server."""

DUE_SINCE: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""The overdue subscriptions ended before this instant, which is earlier than any real clock."""

PLANS_MADE_AT: Final = datetime(2015, 1, 1, tzinfo=UTC)
FEATURE: Final = "export"
COMMON_PLAN: Final = "starter"
ENDLESS_PLAN: Final = "lifetime"
RARE_PLAN: Final = "boutique"
"""One in a thousand has this plan. With a badly chosen index, a search for it reads all other rows."""

PASSWORD_HASH: Final = "$argon2id$none"  # noqa: S105 - no password has it

_DAY: Final = timedelta(days=1)
# Spreads numbers over a range without a pattern (Knuth's multiplicative hashing).
_SPREAD: Final = 2_654_435_761
_RANGE: Final = 1 << 32
# A second, independent spread.
_SCATTER: Final = 40_503
_SCATTERED: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Sample:
    """Plans, users, and their subscriptions, each with all of its events."""

    plans: Sequence[Plan]
    users: Sequence[User]
    subscriptions: Sequence[Subscription]


def uuid7(at: datetime, number: int, kind: int = 0) -> UUID:
    """Return the UUIDv7 of this instant, number and kind. Its last 32 bits are 0.

    :mod:`benchmarks.datasets` writes the number of a copy there.
    """
    return UUID(int=int(at.timestamp() * 1000) << 80 | 7 << 76 | kind << 64 | 2 << 62 | number << 32)


def plans() -> tuple[Plan, ...]:
    """Return the plans."""
    return (
        _plan(0, COMMON_PLAN, Money(990, "USD"), "P1M", "P14D"),
        _plan(1, "pro", Money(2_900, "USD"), "P1M", "P14D"),
        _plan(2, "business", Money(99_000, "EUR"), "P1Y", "P1M"),
        _plan(3, ENDLESS_PLAN, Money(49_900, "USD"), None, None),
        _plan(4, RARE_PLAN, Money(9_900, "USD"), "P1M", "P14D"),
    )


def platform(size: int, *, only_live: bool = False) -> Sample:
    """Return ``size`` users with one subscription each, in the proportions of :data:`_MIX`.

    With ``only_live``, only those whose subscription is live at :data:`NOW`.
    """
    return _sample(size, _MIX, NOW, lambda subscription: not only_live or subscription.is_live)


def due(size: int) -> Sample:
    """Return ``size`` users with one overdue subscription each, which ended before :data:`DUE_SINCE`."""
    return _sample(size, _DUE_MIX, DUE_SINCE, lambda _: True)


def registered(numbers: range, user_id: Callable[[int], UUID]) -> Iterator[User]:
    """Yield users who never subscribed."""
    for number in numbers:
        metadata = EventMetadata(PLANS_MADE_AT, Actor(ActorType.USER, user_id(number)), uuid7(PLANS_MADE_AT, number, 1))
        yield User.register(user_id(number), Email(f"u{number}@bench.example"), PASSWORD_HASH, Role.USER, metadata)


@dataclass(frozen=True, slots=True)
class _Subscriber:
    """A user who subscribes. ``spread``, from 0 to 1, varies the dates."""

    number: int
    spread: float
    end: datetime
    offers: Sequence[PlanRevision]

    def trial(self, since: timedelta) -> Subscription:
        """Return a trial that began ``since`` before the end."""
        at = self.end - since
        return Subscription.start_trial(self._id(at, 2), self.user_id(at), self._monthly, self.metadata(at, 3))

    def paid(self, since: timedelta, offer: int | None = None) -> Subscription:
        """Return a paid subscription that began ``since`` before the end."""
        at = self.end - since
        revision = self._monthly if offer is None else self.offers[offer]
        return Subscription.activate(self._id(at, 2), self.user_id(at), revision, self.metadata(at, 3))

    def renewed(self, since: timedelta) -> Subscription:
        """Return a subscription that was renewed once."""
        return self.paid(since).renew(self._monthly, self.metadata(self.end - since + 20 * _DAY, 4))

    def converted(self, since: timedelta) -> Subscription:
        """Return a trial that was converted after five days."""
        return self.trial(since).convert(self._monthly, self.metadata(self.end - since + 5 * _DAY, 4))

    def scheduled(self, since: timedelta) -> Subscription:
        """Return a subscription with a cancellation at its end."""
        return self.paid(since).cancel_at_period_end(self.metadata(self.end - since + 3 * _DAY, 4))

    def cancelled(self, since: timedelta) -> Subscription:
        """Return a subscription that was cancelled after six days."""
        return self.paid(since).cancel_now(self.metadata(self.end - since + 6 * _DAY, 4))

    def expired(self, subscription: Subscription) -> Subscription:
        """Return the subscription after the expiry job."""
        return subscription.apply_expiry(EventMetadata(self.end, SYSTEM, self._id(self.end, 5)))

    def days(self, low: float, high: float) -> timedelta:
        """Return a number of days between two limits."""
        return (low + (high - low) * self.spread) * _DAY

    def user(self, at: datetime) -> User:
        """Return the account, which was created one day before."""
        made_at = at - _DAY
        email = Email(f"u{self.number}@bench.example")
        metadata = EventMetadata(made_at, Actor(ActorType.USER, self.user_id(at)), self._id(made_at, 1))
        return User.register(self.user_id(at), email, PASSWORD_HASH, Role.USER, metadata)

    def user_id(self, at: datetime) -> UUID:
        """Return the id of the account that subscribed at this instant."""
        return self._id(at - _DAY, 0)

    def metadata(self, at: datetime, kind: int) -> EventMetadata:
        """Return the metadata of an event at this instant."""
        return EventMetadata(at, SYSTEM, self._id(at, kind))

    @property
    def _monthly(self) -> PlanRevision:
        if self.number * _SCATTER % _SCATTERED < _SCATTERED // 1000:
            return self.offers[4]
        return self.offers[0 if self.number % 10 < 7 else 1]  # noqa: PLR2004 - seven of ten choose the cheaper plan

    def _id(self, at: datetime, kind: int) -> UUID:
        return uuid7(at, self.number, kind)


_Scenario = Callable[[_Subscriber], Subscription]

# In percent. The end of past subscriptions is recorded. Forty percent are live.
_MIX: Final[Sequence[tuple[int, _Scenario]]] = (
    (14, lambda one: one.paid(one.days(0.1, 27))),
    (8, lambda one: one.renewed(one.days(31, 57))),
    (5, lambda one: one.paid(one.days(1, 360), 2)),
    (3, lambda one: one.paid(one.days(1, 700), 3)),
    (5, lambda one: one.trial(one.days(0.1, 13))),
    (3, lambda one: one.scheduled(one.days(4, 27))),
    (2, lambda one: one.converted(one.days(6, 30))),
    (25, lambda one: one.expired(one.paid(one.days(40, 700)))),
    (10, lambda one: one.expired(one.trial(one.days(20, 700)))),
    (20, lambda one: one.cancelled(one.days(10, 700))),
    (5, lambda one: one.expired(one.scheduled(one.days(40, 700)))),
)
_DUE_MIX: Final[Sequence[tuple[int, _Scenario]]] = (
    (60, lambda one: one.paid(one.days(40, 300))),
    (20, lambda one: one.renewed(one.days(70, 300))),
    (10, lambda one: one.trial(one.days(20, 300))),
    (10, lambda one: one.scheduled(one.days(40, 300))),
)


def _sample(
    size: int, mix: Sequence[tuple[int, _Scenario]], end: datetime, wanted: Callable[[Subscription], bool]
) -> Sample:
    offered = plans()
    offers = [plan.revision for plan in offered]
    scenarios = list(chain.from_iterable([scenario] * share for share, scenario in mix))
    users, subscriptions = [], []
    for number in range(size):
        one = _Subscriber(number, number * _SPREAD % _RANGE / _RANGE, end, offers)
        subscription = scenarios[number % len(scenarios)](one)
        if wanted(subscription):
            users.append(one.user(subscription.starts_at))
            subscriptions.append(subscription)
    return Sample(offered, users, subscriptions)


def _plan(number: int, code: str, price: Money, period: str | None, trial: str | None) -> Plan:
    terms = Terms(
        price,
        None if period is None else Period.parse(period),
        None if trial is None else Period.parse(trial),
        features({FEATURE: True, "seats": 5 * (number + 1), "projects": 100, "support": "email"}),
    )
    metadata = EventMetadata(PLANS_MADE_AT, SYSTEM, uuid7(PLANS_MADE_AT, number, 6))
    return Plan.create(uuid7(PLANS_MADE_AT, number, 7), code, code.capitalize(), f"The plan {code}.", terms, metadata)
