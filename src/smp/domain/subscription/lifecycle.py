"""The lifecycle of a subscription: the table of its transitions, and its effective status.

:func:`transition_by_time` is the one place that decides the effective status at an instant;
``adapters/postgres/effective_state.py`` expresses the same rule in SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from smp.domain.errors import IllegalTransition


class Status(StrEnum):
    """The statuses of a subscription."""

    TRIAL = "trial"
    ACTIVE = "active"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


LIVE: Final = frozenset({Status.TRIAL, Status.ACTIVE})
"""The statuses that give access; a user has at most one subscription in them."""

TERMINAL: Final = frozenset(Status) - LIVE
"""The final statuses: no transition leaves them, and subscribing again creates a new subscription."""


class Action(StrEnum):
    """The actions that change a subscription; time alone causes the last two."""

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


NO_SUBSCRIPTION: Final = "nothing"
"""The name of the source, in messages, of a transition that creates a subscription."""


class StoredState(Protocol):
    """The stored status and dates from which the effective status follows."""

    @property
    def status(self) -> Status:
        """The stored status."""

    @property
    def ends_at(self) -> datetime | None:
        """The end of the period; ``None`` for a lifetime plan."""

    @property
    def cancel_at(self) -> datetime | None:
        """The instant for which a cancellation is scheduled, if one is."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition of a transition; ``refusal`` is the reason that the caller gets if it does not hold."""

    condition: str
    refusal: str
    holds: Callable[[StoredState], bool]


HAS_END: Final = Guard("it has an end", "it is for life and has no end", lambda state: state.ends_at is not None)
IS_SCHEDULED: Final = Guard(
    "`cancel_at` is set", "no cancellation is scheduled", lambda state: state.cancel_at is not None
)
IS_NOT_SCHEDULED: Final = Guard(
    "`cancel_at` is not set",
    "its cancellation is scheduled; resume it first",
    lambda state: state.cancel_at is None,
)


@dataclass(frozen=True, slots=True)
class Transition:
    """An allowed change of a subscription; ``source`` is ``None`` if it creates the subscription."""

    action: Action
    source: Status | None
    target: Status
    event: SubscriptionEventType
    guards: tuple[Guard, ...] = ()

    def check_guards(self, state: StoredState) -> None:
        """Check the conditions of the transition.

        Raises:
            IllegalTransition: for the first condition that does not hold.
        """
        for guard in self.guards:
            if not guard.holds(state):
                raise IllegalTransition(self.action, self.source or NO_SUBSCRIPTION, guard.refusal)


TRANSITIONS: Final[tuple[Transition, ...]] = (
    Transition(Action.START_TRIAL, None, Status.TRIAL, SubscriptionEventType.TRIAL_STARTED),
    Transition(Action.ACTIVATE, None, Status.ACTIVE, SubscriptionEventType.ACTIVATED),
    Transition(Action.ACTIVATE, Status.TRIAL, Status.ACTIVE, SubscriptionEventType.CONVERTED),
    Transition(Action.RENEW, Status.ACTIVE, Status.ACTIVE, SubscriptionEventType.RENEWED, (HAS_END, IS_NOT_SCHEDULED)),
    Transition(
        Action.CANCEL_AT_PERIOD_END, Status.TRIAL, Status.TRIAL, SubscriptionEventType.CANCEL_SCHEDULED, (HAS_END,)
    ),
    Transition(
        Action.CANCEL_AT_PERIOD_END, Status.ACTIVE, Status.ACTIVE, SubscriptionEventType.CANCEL_SCHEDULED, (HAS_END,)
    ),
    Transition(Action.RESUME, Status.TRIAL, Status.TRIAL, SubscriptionEventType.RESUMED, (IS_SCHEDULED,)),
    Transition(Action.RESUME, Status.ACTIVE, Status.ACTIVE, SubscriptionEventType.RESUMED, (IS_SCHEDULED,)),
    Transition(Action.CANCEL_NOW, Status.TRIAL, Status.CANCELLED, SubscriptionEventType.CANCELLED),
    Transition(Action.CANCEL_NOW, Status.ACTIVE, Status.CANCELLED, SubscriptionEventType.CANCELLED),
    Transition(Action.EXPIRE, Status.TRIAL, Status.EXPIRED, SubscriptionEventType.EXPIRED),
    Transition(Action.EXPIRE, Status.ACTIVE, Status.EXPIRED, SubscriptionEventType.EXPIRED),
    Transition(Action.COMPLETE_CANCELLATION, Status.TRIAL, Status.CANCELLED, SubscriptionEventType.CANCELLED),
    Transition(Action.COMPLETE_CANCELLATION, Status.ACTIVE, Status.CANCELLED, SubscriptionEventType.CANCELLED),
)
"""Every allowed transition. The conditions of the last four, which time causes, are in :func:`transition_by_time`."""

_BY_ACTION_AND_SOURCE: Final[Mapping[tuple[Action, Status | None], Transition]] = MappingProxyType(
    {(transition.action, transition.source): transition for transition in TRANSITIONS}
)


def find_transition(action: Action, source: Status | None) -> Transition:
    """Return the transition for ``action`` from ``source``.

    Raises:
        IllegalTransition: if the table has none.
    """
    found = _BY_ACTION_AND_SOURCE.get((action, source))
    if found is None:
        raise IllegalTransition(action, source or NO_SUBSCRIPTION)
    return found


def access_ends_at(state: StoredState) -> datetime | None:
    """Return the instant at which access ends by time alone; ``None`` if it never does.

    Today it is the end of the period.
    """
    return state.ends_at


def transition_by_time(state: StoredState, now: datetime) -> Transition | None:
    """Return the transition that time has caused by ``now`` and that is not stored yet; ``None`` if there is none.

    Access is over at the end of access itself, not only after it.
    """
    end = access_ends_at(state)
    if end is None or now < end or state.status not in LIVE:
        return None
    return find_transition(Action.EXPIRE if state.cancel_at is None else Action.COMPLETE_CANCELLATION, state.status)


def status_at(state: StoredState, now: datetime) -> Status:
    """Return the effective status at ``now``, which may differ from the stored one."""
    transition = transition_by_time(state, now)
    return state.status if transition is None else transition.target
