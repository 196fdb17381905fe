"""What the demonstration's users did: each of them a story that only the domain's verbs can tell."""

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
from smp.domain.subscription.lifecycle import Status
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.user import Email, Role, User

SEED: Final = "smp demo"
SUBSCRIPTIONS_MAX: Final = 3
"""How often one user subscribes at most."""

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Story:
    """One user, with all subscriptions that the user ever had, oldest first."""

    user: User
    subscriptions: tuple[Subscription, ...]

    @property
    def standing(self) -> str:
        """How the user stands at the end of the story, in words."""
        if not self.subscriptions:
            return "never subscribed"
        last = self.subscriptions[-1]
        if not last.is_live:
            return last.status.value
        scheduled = ", to be cancelled at its end" if last.cancel_at else ""
        return f"{'trial running' if last.status is Status.TRIAL else 'active'}{scheduled}"


class _Turn(Enum):
    """What a subscriber may do with a period."""

    CONVERT = auto()
    RENEW = auto()
    SCHEDULE = auto()
    WAVER = auto()
    """Schedule a cancellation, and undo it."""
    LAPSE = auto()
    CANCEL = auto()


_TRIAL_TURNS: Final = ((46, _Turn.CONVERT), (36, _Turn.LAPSE), (8, _Turn.SCHEDULE), (10, _Turn.CANCEL))
_PAID_TURNS: Final = ((88, _Turn.RENEW), (3, _Turn.WAVER), (5, _Turn.SCHEDULE), (3, _Turn.LAPSE), (1, _Turn.CANCEL))


def stories(count: int, offers: Sequence[Offer], now: datetime, password_hash: str) -> Iterator[Story]:
    """``count`` stories up to ``now``: what is over by then is written as over."""
    for number in range(count):
        yield _Narrator(number, offers, now, password_hash).tell()


class _Narrator:
    """Tells one user's story. Every step happens later than the one before and earlier than now, or not at all."""

    def __init__(self, number: int, offers: Sequence[Offer], now: datetime, password_hash: str) -> None:
        self._dice = SeededRandom(f"{SEED}/{number}")
        self._offers = offers
        self._now = now
        # Ever more users came: the younger half of the history has about two thirds of them.
        at = _whole_seconds(now - HISTORY * self._dice.random() ** 1.6)
        user_id = self._dice.id_at(at)
        self._actor = Actor(ActorType.USER, user_id)
        self._user = User.register(user_id, Email(email_of(number)), password_hash, Role.USER, self._metadata(at))
        self._told: list[Subscription] = []
        self._tried: set[UUID] = set()

    def tell(self) -> Story:
        """The whole story."""
        at = self._user.created_at + self._dice.span(timedelta(minutes=2), 3 * _DAY)
        chapters = 0 if self._dice.chance(8) else SUBSCRIPTIONS_MAX
        for _ in range(chapters):
            ended_at = self._subscribe(at) if at < self._now else None
            if ended_at is None or self._dice.chance(65):
                break
            at = ended_at + self._dice.span(_DAY, 120 * _DAY)
        return Story(self._user, tuple(self._told))

    def _subscribe(self, at: datetime) -> datetime | None:
        """One subscription from its beginning; when it ended, ``None`` where it has not."""
        offer = self._dice.choose([(offer.weight, offer) for offer in self._offers if offer.is_open_at(at)])
        revision = offer.revision_at(at)
        subscription_id = self._dice.id_at(at)
        wants_trial = revision.terms.trial_period is not None and self._dice.chance(80)
        if wants_trial and revision.plan_id not in self._tried:
            self._tried.add(revision.plan_id)
            trial = Subscription.start_trial(subscription_id, self._user.id, revision, self._metadata(at))
            return self._end(self._trial(trial, revision))
        paid = Subscription.activate(subscription_id, self._user.id, revision, self._metadata(at))
        return self._end(self._paid(paid, revision, at))

    def _trial(self, trial: Subscription, revision: PlanRevision) -> Subscription:
        turn = self._dice.choose(_TRIAL_TURNS)
        at = self._dice.between(trial.starts_at, trial.ends_at or self._now)
        if at >= self._now or turn is _Turn.LAPSE:
            return trial
        if turn is _Turn.CONVERT:
            return self._paid(trial.convert(revision, self._metadata(at)), revision, at)
        if turn is _Turn.SCHEDULE:
            return trial.cancel_at_period_end(self._metadata(at))
        return trial.cancel_now(self._metadata(at))

    def _paid(self, paid: Subscription, revision: PlanRevision, since: datetime) -> Subscription:
        while (ends_at := paid.ends_at) is not None:
            turn = self._dice.choose(_PAID_TURNS)
            at = self._dice.between(since, ends_at)
            if turn in {_Turn.RENEW, _Turn.WAVER}:
                # Most renew in the last days before the end.
                at = max(at, ends_at - self._dice.span(timedelta(hours=1), 3 * _DAY))
            if at >= self._now or turn is _Turn.LAPSE:
                break
            if turn is _Turn.CANCEL:
                return paid.cancel_now(self._metadata(at))
            if turn is not _Turn.RENEW:
                paid = paid.cancel_at_period_end(self._metadata(self._dice.between(since, at)))
            if turn is _Turn.SCHEDULE:
                break
            if turn is _Turn.WAVER:
                paid = paid.resume(self._metadata(at))
                at = self._dice.between(at, ends_at)
            if at >= self._now:
                break
            paid, since = paid.renew(revision, self._metadata(at)), at
        return paid

    def _end(self, subscription: Subscription) -> datetime | None:
        settled = subscription.apply_expiry(self._metadata(self._now))
        self._told.append(settled)
        return settled.ended_at

    def _metadata(self, at: datetime) -> EventMetadata:
        return EventMetadata(at, self._actor, self._dice.id_at(at))


def _whole_seconds(at: datetime) -> datetime:
    return at.replace(microsecond=0)
