"""The scenarios of the demo users, made by the domain's methods only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final
from uuid import UUID

from smp.bootstrap.demo.catalogue import HISTORY, Offer
from smp.bootstrap.demo.seeded_random import SeededRandom
from smp.bootstrap.demo.users import email_of
from smp.domain.events import Actor, ActorType, EventMetadata
from smp.domain.plan.plan import PlanRevision
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.user import Email, Role, User

SEED: Final = "smp demo"
SUBSCRIPTIONS_MAX: Final = 3
"""The greatest number of subscriptions of one user."""

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A user with all subscriptions that the user ever had, oldest first."""

    user: User
    subscriptions: tuple[Subscription, ...]


class _Action(Enum):
    """What a subscriber may do in a period."""

    CONVERT = auto()
    RENEW = auto()
    SCHEDULE = auto()
    SCHEDULE_AND_RESUME = auto()
    """Schedule a cancellation, and undo it before it takes effect."""
    LAPSE = auto()
    CANCEL = auto()


_TRIAL_ACTIONS: Final = ((46, _Action.CONVERT), (36, _Action.LAPSE), (8, _Action.SCHEDULE), (10, _Action.CANCEL))
_PAID_ACTIONS: Final = (
    (88, _Action.RENEW),
    (3, _Action.SCHEDULE_AND_RESUME),
    (5, _Action.SCHEDULE),
    (3, _Action.LAPSE),
    (1, _Action.CANCEL),
)


def generate_scenarios(count: int, offers: Sequence[Offer], now: datetime, password_hash: str) -> Iterator[Scenario]:
    """Generate ``count`` scenarios up to ``now``; subscriptions that are over by then are written as over."""
    for number in range(count):
        yield _ScenarioGenerator(number, offers, now, password_hash).generate()


class _ScenarioGenerator:
    """A generator of one user's scenario. Each step is later than the one before; steps after now are left out."""

    def __init__(self, number: int, offers: Sequence[Offer], now: datetime, password_hash: str) -> None:
        self._random = SeededRandom(f"{SEED}/{number}")
        self._offers = offers
        self._now = now
        # The number of registrations grows: about two thirds are in the younger half of the history.
        at = _whole_seconds(now - HISTORY * self._random.random() ** 1.6)
        user_id = self._random.id_at(at)
        self._actor = Actor(ActorType.USER, user_id)
        self._user = User.register(user_id, Email(email_of(number)), password_hash, Role.USER, self._metadata(at))
        self._ended: list[Subscription] = []
        self._tried: set[UUID] = set()

    def generate(self) -> Scenario:
        """Return the whole scenario."""
        at = self._user.created_at + self._random.span(timedelta(minutes=2), 3 * _DAY)
        attempts = 0 if self._random.chance(8) else SUBSCRIPTIONS_MAX
        for _ in range(attempts):
            ended_at = self._subscribe(at) if at < self._now else None
            if ended_at is None or self._random.chance(65):
                break
            at = ended_at + self._random.span(_DAY, 120 * _DAY)
        return Scenario(self._user, tuple(self._ended))

    def _subscribe(self, at: datetime) -> datetime | None:
        """Add one subscription that begins at ``at``; return when it ended, ``None`` if it has not."""
        offer = self._random.choose([(offer.weight, offer) for offer in self._offers if offer.is_open_at(at)])
        revision = offer.revision_at(at)
        subscription_id = self._random.id_at(at)
        wants_trial = revision.terms.trial_period is not None and self._random.chance(80)
        if wants_trial and revision.plan_id not in self._tried:
            self._tried.add(revision.plan_id)
            trial = Subscription.start_trial(subscription_id, self._user.id, revision, self._metadata(at))
            return self._end(self._trial(trial, revision))
        paid = Subscription.activate(subscription_id, self._user.id, revision, self._metadata(at))
        return self._end(self._paid(paid, revision, at))

    def _trial(self, trial: Subscription, revision: PlanRevision) -> Subscription:
        action = self._random.choose(_TRIAL_ACTIONS)
        at = self._random.between(trial.starts_at, trial.ends_at or self._now)
        if at >= self._now or action is _Action.LAPSE:
            return trial
        if action is _Action.CONVERT:
            return self._paid(trial.convert(revision, self._metadata(at)), revision, at)
        if action is _Action.SCHEDULE:
            return trial.cancel_at_period_end(self._metadata(at))
        return trial.cancel_now(self._metadata(at))

    def _paid(self, paid: Subscription, revision: PlanRevision, since: datetime) -> Subscription:
        while (ends_at := paid.ends_at) is not None:
            action = self._random.choose(_PAID_ACTIONS)
            at = self._random.between(since, ends_at)
            if action in {_Action.RENEW, _Action.SCHEDULE_AND_RESUME}:
                # Most renew in the last days before the end.
                at = max(at, ends_at - self._random.span(timedelta(hours=1), 3 * _DAY))
            if at >= self._now or action is _Action.LAPSE:
                break
            if action is _Action.CANCEL:
                return paid.cancel_now(self._metadata(at))
            if action is not _Action.RENEW:
                paid = paid.cancel_at_period_end(self._metadata(self._random.between(since, at)))
            if action is _Action.SCHEDULE:
                break
            if action is _Action.SCHEDULE_AND_RESUME:
                paid = paid.resume(self._metadata(at))
                at = self._random.between(at, ends_at)
            if at >= self._now:
                break
            paid, since = paid.renew(revision, self._metadata(at)), at
        return paid

    def _end(self, subscription: Subscription) -> datetime | None:
        expired = subscription.apply_expiry(self._metadata(self._now))
        self._ended.append(expired)
        return expired.ended_at

    def _metadata(self, at: datetime) -> EventMetadata:
        return EventMetadata(at, self._actor, self._random.id_at(at))


def _whole_seconds(at: datetime) -> datetime:
    return at.replace(microsecond=0)
