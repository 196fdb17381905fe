"""The life of a subscription as one table: every legal move, who may ask for it, and what it is announced as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from smp.domain.errors import IllegalTransition
from smp.domain.events import ActorType


class Status(StrEnum):
    """Where a subscription stands."""

    TRIAL = "trial"
    ACTIVE = "active"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


LIVE: Final = frozenset({Status.TRIAL, Status.ACTIVE})
"""The statuses that give access; a user has at most one subscription in them."""

TERMINAL: Final = frozenset(Status) - LIVE
"""The statuses that are final: subscribing again makes a new subscription."""


class Action(StrEnum):
    """What can be done to a subscription; the last two are done by time alone."""

    START_TRIAL = "start_trial"
    ACTIVATE = "activate"
    RENEW = "renew"
    CANCEL_AT_PERIOD_END = "cancel_at_period_end"
    RESUME = "resume"
    CANCEL_NOW = "cancel_now"
    EXPIRE = "expire"
    COMPLETE_CANCELLATION = "complete_cancellation"


class SubscriptionEventType(StrEnum):
    """The types of subscription events."""

    TRIAL_STARTED = "subscription.trial_started"
    ACTIVATED = "subscription.activated"
    CONVERTED = "subscription.converted"
    RENEWED = "subscription.renewed"
    CANCEL_SCHEDULED = "subscription.cancel_scheduled"
    RESUMED = "subscription.resumed"
    CANCELLED = "subscription.cancelled"
    EXPIRED = "subscription.expired"


@dataclass(frozen=True, slots=True)
class Transition:
    """One legal move; ``source`` is ``None`` where the move makes the subscription."""

    action: Action
    source: Status | None
    target: Status
    event: SubscriptionEventType
    guard: str = ""

    @property
    def callers(self) -> frozenset[ActorType]:
        """Who may ask for the move; for what time decides, the system alone."""
        return BY_TIME if self.action in _DONE_BY_TIME else BY_REQUEST


_DONE_BY_TIME: Final = frozenset({Action.EXPIRE, Action.COMPLETE_CANCELLATION})
BY_REQUEST: Final = frozenset({ActorType.USER, ActorType.ADMIN})
BY_TIME: Final = frozenset({ActorType.SYSTEM})

_SCHEDULED: Final = "cancel_at is set"
_NOT_LIFETIME: Final = "it has an end"

TRANSITIONS: Final[tuple[Transition, ...]] = (
    Transition(Action.START_TRIAL, None, Status.TRIAL, SubscriptionEventType.TRIAL_STARTED),
    Transition(Action.ACTIVATE, None, Status.ACTIVE, SubscriptionEventType.ACTIVATED),
    Transition(Action.ACTIVATE, Status.TRIAL, Status.ACTIVE, SubscriptionEventType.CONVERTED),
    Transition(
        Action.RENEW,
        Status.ACTIVE,
        Status.ACTIVE,
        SubscriptionEventType.RENEWED,
        "it has an end and cancel_at is not set",
    ),
    Transition(
        Action.CANCEL_AT_PERIOD_END, Status.TRIAL, Status.TRIAL, SubscriptionEventType.CANCEL_SCHEDULED, _NOT_LIFETIME
    ),
    Transition(
        Action.CANCEL_AT_PERIOD_END, Status.ACTIVE, Status.ACTIVE, SubscriptionEventType.CANCEL_SCHEDULED, _NOT_LIFETIME
    ),
    Transition(Action.RESUME, Status.TRIAL, Status.TRIAL, SubscriptionEventType.RESUMED, _SCHEDULED),
    Transition(Action.RESUME, Status.ACTIVE, Status.ACTIVE, SubscriptionEventType.RESUMED, _SCHEDULED),
    Transition(Action.CANCEL_NOW, Status.TRIAL, Status.CANCELLED, SubscriptionEventType.CANCELLED),
    Transition(Action.CANCEL_NOW, Status.ACTIVE, Status.CANCELLED, SubscriptionEventType.CANCELLED),
    Transition(Action.EXPIRE, Status.TRIAL, Status.EXPIRED, SubscriptionEventType.EXPIRED, "ends_at is reached"),
    Transition(Action.EXPIRE, Status.ACTIVE, Status.EXPIRED, SubscriptionEventType.EXPIRED, "ends_at is reached"),
    Transition(
        Action.COMPLETE_CANCELLATION,
        Status.TRIAL,
        Status.CANCELLED,
        SubscriptionEventType.CANCELLED,
        "cancel_at is reached",
    ),
    Transition(
        Action.COMPLETE_CANCELLATION,
        Status.ACTIVE,
        Status.CANCELLED,
        SubscriptionEventType.CANCELLED,
        "cancel_at is reached",
    ),
)

_BY_ACTION_AND_SOURCE: Final[Mapping[tuple[Action, Status | None], Transition]] = MappingProxyType(
    {(transition.action, transition.source): transition for transition in TRANSITIONS}
)


def transition(action: Action, source: Status | None) -> Transition:
    """The legal move for ``action`` from ``source``.

    Raises:
        IllegalTransition: where the table has none.
    """
    found = _BY_ACTION_AND_SOURCE.get((action, source))
    if found is None:
        raise IllegalTransition(action.value, "nothing" if source is None else source.value)
    return found


def status_at(written: Status, ends_at: datetime | None, cancel_at: datetime | None, now: datetime) -> Status:
    """The status that holds at ``now``, whatever was last written; at ``ends_at`` exactly it is over."""
    if written not in LIVE or ends_at is None or now < ends_at:
        return written
    return Status.EXPIRED if cancel_at is None else Status.CANCELLED
