"""The subscription aggregate: an immutable value with one method for each action of the transition table.

A method looks its move up in the table, which checks the move's conditions, and returns the new value with the event
recorded. A refused action raises and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from smp.domain.errors import IllegalTransition, PlanHasNoTrial, ValidationError
from smp.domain.events import SYSTEM, DomainEvent, EventMetadata
from smp.domain.period import Period
from smp.domain.plan.plan import PlanRevision
from smp.domain.subscription.lifecycle import (
    LIVE,
    NO_SUBSCRIPTION,
    Action,
    Status,
    Transition,
    access_ends_at,
    move_by_time,
    status_at,
    transition,
)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One user's instance of one plan revision.

    ``status`` is what was last written; ``as_of(now)`` is what holds at an instant. Paid periods are counted from
    ``billing_anchor``, and ``periods_paid`` says how many; a trial has neither. ``version`` grows by one with each
    event.
    """

    id: UUID
    user_id: UUID
    plan_id: UUID
    revision: int
    status: Status
    starts_at: datetime
    ends_at: datetime | None
    trial_ends_at: datetime | None
    billing_anchor: datetime | None
    periods_paid: int
    converted_at: datetime | None
    cancel_at: datetime | None
    cancelled_at: datetime | None
    ended_at: datetime | None
    version: int
    created_at: datetime
    events: tuple[DomainEvent, ...] = ()

    @classmethod
    def start_trial(
        cls, subscription_id: UUID, user_id: UUID, revision: PlanRevision, metadata: EventMetadata
    ) -> Subscription:
        """Start a trial of the revision's trial period, from now.

        Raises:
            PlanHasNoTrial: if the revision offers none.
            IllegalTransition: if it would end after the year 9999.
        """
        if revision.terms.trial_period is None:
            raise PlanHasNoTrial(str(revision.plan_id))
        move = transition(Action.START_TRIAL, None)
        trial_ends_at = _end(move, revision.terms.trial_period, metadata.at, 1)
        new = cls._new(subscription_id, user_id, revision, metadata)
        return replace(new, ends_at=trial_ends_at, trial_ends_at=trial_ends_at)._apply(move, metadata)

    @classmethod
    def activate(
        cls, subscription_id: UUID, user_id: UUID, revision: PlanRevision, metadata: EventMetadata
    ) -> Subscription:
        """Start a paid subscription with its first period from now.

        Raises:
            IllegalTransition: if it would end after the year 9999.
        """
        move = transition(Action.ACTIVATE, None)
        ends_at = _end(move, revision.terms.period, metadata.at, 1)
        new = cls._new(subscription_id, user_id, revision, metadata)
        return replace(new, billing_anchor=metadata.at, periods_paid=1, ends_at=ends_at)._apply(move, metadata)

    @classmethod
    def _new(
        cls, subscription_id: UUID, user_id: UUID, revision: PlanRevision, metadata: EventMetadata
    ) -> Subscription:
        return cls(
            id=subscription_id,
            user_id=user_id,
            plan_id=revision.plan_id,
            revision=revision.number,
            status=Status.ACTIVE,
            starts_at=metadata.at,
            ends_at=None,
            trial_ends_at=None,
            billing_anchor=None,
            periods_paid=0,
            converted_at=None,
            cancel_at=None,
            cancelled_at=None,
            ended_at=None,
            version=0,
            created_at=metadata.at,
        )

    @property
    def is_live(self) -> bool:
        """Whether the written status is ``trial`` or ``active``; for the present ask ``as_of(now)``."""
        return self.status in LIVE

    @property
    def span(self) -> tuple[datetime, datetime | None]:
        """The time that it covers, half-open; without an end it covers all time from its start."""
        return self.starts_at, access_ends_at(self) if self.ended_at is None else self.ended_at

    def is_overdue(self, now: datetime) -> bool:
        """Whether time has ended it by ``now`` and the end is not written yet."""
        return move_by_time(self, now) is not None

    def status_at(self, now: datetime) -> Status:
        """Return the status that holds at ``now``, which may differ from the written one."""
        return status_at(self, now)

    def as_of(self, now: datetime) -> Subscription:
        """Return what a reader sees at ``now``: an overdue subscription as the expiry job will write it."""
        move = move_by_time(self, now)
        return self if move is None else self._ended_by_time(move, ())

    def convert(self, revision: PlanRevision, metadata: EventMetadata) -> Subscription:
        """Turn a trial into a paid subscription of this or another plan; the first paid period starts now.

        A scheduled cancellation is undone: a user who pays wants to stay.

        Raises:
            IllegalTransition: if it is not a trial, or would end after the year 9999.
        """
        metadata = self._not_before_start(metadata)
        move = self._legal(Action.ACTIVATE, metadata.at)
        converted = replace(
            self,
            plan_id=revision.plan_id,
            revision=revision.number,
            billing_anchor=metadata.at,
            periods_paid=1,
            converted_at=metadata.at,
            trial_ends_at=metadata.at,
            ends_at=_end(move, revision.terms.period, metadata.at, 1),
            cancel_at=None,
        )
        return converted._apply(move, metadata)

    def renew(self, revision: PlanRevision, metadata: EventMetadata) -> Subscription:
        """Add one period, counted from the anchor; ``revision`` is the one that the subscription is bound to.

        Raises:
            IllegalTransition: if it is not active, has no end, is to be cancelled at its end, or would end after the
                year 9999.
        """
        move = self._legal(Action.RENEW, metadata.at)
        periods_paid = self.periods_paid + 1
        # An active subscription always has an anchor; the type allows none because a trial has none.
        ends_at = _end(move, revision.terms.period, self.billing_anchor or self.starts_at, periods_paid)
        return replace(self, periods_paid=periods_paid, ends_at=ends_at)._apply(move, metadata)

    def cancel_at_period_end(self, metadata: EventMetadata) -> Subscription:
        """Schedule the cancellation for ``ends_at``, with access until then; a second request changes nothing.

        Raises:
            IllegalTransition: if it is not live or has no end.
        """
        move = self._legal(Action.CANCEL_AT_PERIOD_END, metadata.at)
        if self.cancel_at is not None:
            return self
        return replace(self, cancel_at=self.ends_at)._apply(move, metadata)

    def resume(self, metadata: EventMetadata) -> Subscription:
        """Undo the scheduled cancellation.

        Raises:
            IllegalTransition: if none is scheduled.
        """
        move = self._legal(Action.RESUME, metadata.at)
        return replace(self, cancel_at=None)._apply(move, metadata)

    def cancel_now(self, metadata: EventMetadata) -> Subscription:
        """End it at this instant; ``ends_at`` keeps the end that it would have had.

        Raises:
            IllegalTransition: if it is not live.
        """
        metadata = self._not_before_start(metadata)
        move = self._legal(Action.CANCEL_NOW, metadata.at)
        cancelled = replace(self, cancel_at=None, cancelled_at=metadata.at, ended_at=metadata.at)
        return cancelled._apply(move, metadata)

    def apply_expiry(self, metadata: EventMetadata) -> Subscription:
        """Record what time has done by ``metadata.at``, dated the end of access; without such a move, return itself."""
        move = move_by_time(self, metadata.at)
        end = access_ends_at(self)
        if move is None or end is None:
            return self
        facts = self._facts(move.target)
        facts["ended_at"] = _text(end)
        event = DomainEvent(
            id=metadata.event_id,
            type=move.event,
            occurred_at=end,
            recorded_at=metadata.at,
            actor=SYSTEM,
            user_id=self.user_id,
            subject_id=self.id,
            version=self.version + 1,
            data=facts,
        )
        return self._ended_by_time(move, (*self.events, event))

    def _ended_by_time(self, move: Transition, events: tuple[DomainEvent, ...]) -> Subscription:
        """Return the subscription after the move that time has made.

        It is built field by field, which takes half the time of ``replace``: the expiry job does this thousands of
        times a second.
        """
        end = access_ends_at(self)
        return Subscription(
            id=self.id,
            user_id=self.user_id,
            plan_id=self.plan_id,
            revision=self.revision,
            status=move.target,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            trial_ends_at=self.trial_ends_at,
            billing_anchor=self.billing_anchor,
            periods_paid=self.periods_paid,
            converted_at=self.converted_at,
            cancel_at=self.cancel_at,
            cancelled_at=self.cancelled_at if self.cancel_at is None else end,
            ended_at=end,
            version=self.version + 1,
            created_at=self.created_at,
            events=events,
        )

    def _not_before_start(self, metadata: EventMetadata) -> EventMetadata:
        """Return the metadata, dated no earlier than the start: clocks of machines differ."""
        return replace(metadata, at=max(metadata.at, self.starts_at))

    def _legal(self, action: Action, now: datetime) -> Transition:
        """Return the legal move for ``action`` at ``now``. Raises IllegalTransition."""
        move = transition(action, self.status_at(now))
        move.check_guards(self)
        return move

    def _apply(self, move: Transition, metadata: EventMetadata) -> Subscription:
        """Return the subscription after the move, with its event."""
        version = self.version + 1
        facts = self._facts(move.target)
        event = metadata.event(move.event, self.id, facts, user_id=self.user_id, version=version)
        return replace(self, status=move.target, version=version, events=(*self.events, event))

    def _facts(self, status: Status) -> dict[str, object]:
        """Return the state after the move, from which the status at any instant can be replayed."""
        return {
            "plan_id": str(self.plan_id),
            "revision": self.revision,
            "status": status.value,
            "starts_at": _text(self.starts_at),
            "ends_at": _text(self.ends_at),
            "cancel_at": _text(self.cancel_at),
            "ended_at": _text(self.ended_at),
        }


def _end(move: Transition, period: Period | None, anchor: datetime, periods: int) -> datetime | None:
    """Return the end of the last of ``periods``; ``None`` for a lifetime plan. Raises IllegalTransition."""
    if period is None:
        return None
    try:
        return period.end(anchor, periods)
    except ValidationError as refusal:
        raise IllegalTransition(move.action, move.source or NO_SUBSCRIPTION, refusal.detail) from None


def _text(instant: datetime | None) -> str | None:
    """Return the instant in RFC 3339 with ``Z``, to the microsecond if there are any."""
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")
