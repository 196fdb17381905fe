"""The subscription aggregate: an immutable value with one method for each action of the transition table.

Each method finds its transition in the table, checks the transition's conditions, and returns the new value with its
event. A refused action raises an error and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from smp.domain.errors import IllegalTransition, PlanHasNoTrial, ValidationError
from smp.domain.events import SYSTEM, DomainEvent, EventMetadata, instant_text
from smp.domain.period import Period
from smp.domain.plan.plan import PlanRevision
from smp.domain.subscription.lifecycle import (
    LIVE,
    NO_SUBSCRIPTION,
    Action,
    Status,
    Transition,
    access_ends_at,
    find_transition,
    status_at,
    transition_by_time,
)


@dataclass(frozen=True, slots=True)
class Subscription:
    """The binding of one user to one revision of one plan for a span of time.

    ``status`` is the stored status; ``as_of(now)`` has the effective one. ``billing_anchor`` is the start of the first
    paid period, and ``periods_paid`` the number of paid periods since; a trial has neither. ``version`` grows by one
    with each event, and ``changed_at`` is when the last one occurred: no later event is dated before it.
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
    changed_at: datetime
    events: tuple[DomainEvent, ...] = ()

    @classmethod
    def start_trial(
        cls, subscription_id: UUID, user_id: UUID, revision: PlanRevision, metadata: EventMetadata
    ) -> Subscription:
        """Start a trial of the revision's trial period, from now.

        Raises:
            PlanHasNoTrial: if the revision offers no trial.
            IllegalTransition: if it would end after the year 9999.
        """
        if revision.terms.trial_period is None:
            raise PlanHasNoTrial(str(revision.plan_id))
        transition = find_transition(Action.START_TRIAL, None)
        trial_ends_at = _end(transition, revision.terms.trial_period, metadata.at, 1)
        new = cls._new(subscription_id, user_id, revision, metadata)
        return replace(new, ends_at=trial_ends_at, trial_ends_at=trial_ends_at)._apply(transition, metadata)

    @classmethod
    def activate(
        cls, subscription_id: UUID, user_id: UUID, revision: PlanRevision, metadata: EventMetadata
    ) -> Subscription:
        """Start a paid subscription with its first period from now.

        Raises:
            IllegalTransition: if it would end after the year 9999.
        """
        transition = find_transition(Action.ACTIVATE, None)
        ends_at = _end(transition, revision.terms.period, metadata.at, 1)
        new = cls._new(subscription_id, user_id, revision, metadata)
        return replace(new, billing_anchor=metadata.at, periods_paid=1, ends_at=ends_at)._apply(transition, metadata)

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
            changed_at=metadata.at,
        )

    @property
    def is_live(self) -> bool:
        """Whether the stored status is ``trial`` or ``active``; the effective one may differ: see :meth:`as_of`."""
        return self.status in LIVE

    @property
    def span(self) -> tuple[datetime, datetime | None]:
        """The time from the start to the end, without the end itself; ``None`` if there is no end."""
        return self.starts_at, access_ends_at(self) if self.ended_at is None else self.ended_at

    def is_overdue(self, now: datetime) -> bool:
        """Return whether the end has been reached by ``now`` and the final status is not stored yet."""
        return transition_by_time(self, now) is not None

    def status_at(self, now: datetime) -> Status:
        """Return the effective status at ``now``, which may differ from the stored one."""
        return status_at(self, now)

    def as_of(self, now: datetime) -> Subscription:
        """Return the subscription in its effective state at ``now``: if overdue, as the expiry job will store it."""
        transition = transition_by_time(self, now)
        return self if transition is None else self._ended_by_time(transition, ())

    def convert(self, revision: PlanRevision, metadata: EventMetadata) -> Subscription:
        """Convert a trial into a paid subscription to this or another plan; the first paid period starts now.

        A scheduled cancellation is undone, because a user who pays wants to stay.

        Raises:
            IllegalTransition: if it is not a trial, or would end after the year 9999.
        """
        transition, metadata = self._legal(Action.ACTIVATE, metadata)
        converted = replace(
            self,
            plan_id=revision.plan_id,
            revision=revision.number,
            billing_anchor=metadata.at,
            periods_paid=1,
            converted_at=metadata.at,
            trial_ends_at=metadata.at,
            ends_at=_end(transition, revision.terms.period, metadata.at, 1),
            cancel_at=None,
        )
        return converted._apply(transition, metadata)

    def renew(self, revision: PlanRevision, metadata: EventMetadata) -> Subscription:
        """Add one period, counted from the anchor; ``revision`` is the one that the subscription is bound to.

        Raises:
            IllegalTransition: if it is not active, has no end, has a scheduled cancellation, or would end after the
                year 9999.
        """
        transition, metadata = self._legal(Action.RENEW, metadata)
        periods_paid = self.periods_paid + 1
        # An active subscription always has an anchor; the type allows none because a trial has none.
        ends_at = _end(transition, revision.terms.period, self.billing_anchor or self.starts_at, periods_paid)
        return replace(self, periods_paid=periods_paid, ends_at=ends_at)._apply(transition, metadata)

    def cancel_at_period_end(self, metadata: EventMetadata) -> Subscription:
        """Schedule the cancellation for ``ends_at``, with access until then; repeating it changes nothing.

        Raises:
            IllegalTransition: if it is not live or has no end.
        """
        transition, metadata = self._legal(Action.CANCEL_AT_PERIOD_END, metadata)
        if self.cancel_at is not None:
            return self
        return replace(self, cancel_at=self.ends_at)._apply(transition, metadata)

    def resume(self, metadata: EventMetadata) -> Subscription:
        """Undo the scheduled cancellation.

        Raises:
            IllegalTransition: if none is scheduled.
        """
        transition, metadata = self._legal(Action.RESUME, metadata)
        return replace(self, cancel_at=None)._apply(transition, metadata)

    def cancel_now(self, metadata: EventMetadata) -> Subscription:
        """End the subscription at once; ``ends_at`` keeps the end of the period.

        Raises:
            IllegalTransition: if it is not live.
        """
        transition, metadata = self._legal(Action.CANCEL_NOW, metadata)
        cancelled = replace(self, cancel_at=None, cancelled_at=metadata.at, ended_at=metadata.at)
        return cancelled._apply(transition, metadata)

    def apply_expiry(self, metadata: EventMetadata) -> Subscription:
        """Store the effective status at ``metadata.at``, with an event dated the end of access.

        If the subscription is not overdue, return it unchanged.
        """
        transition = transition_by_time(self, metadata.at)
        end = access_ends_at(self)
        if transition is None or end is None:
            return self
        facts = self._facts(transition.target)
        facts["ended_at"] = facts["ends_at"] if end == self.ends_at else instant_text(end)
        event = DomainEvent(
            id=metadata.event_id,
            type=transition.event,
            occurred_at=end,
            recorded_at=metadata.at,
            actor=SYSTEM,
            user_id=self.user_id,
            subject_id=self.id,
            version=self.version + 1,
            data=facts,
        )
        return self._ended_by_time(transition, (*self.events, event))

    def _ended_by_time(self, transition: Transition, events: tuple[DomainEvent, ...]) -> Subscription:
        """Return the subscription after a transition that time has caused.

        Naming every field takes half the time of ``replace``, and the expiry job does this thousands of times a second.
        """
        end = access_ends_at(self)
        return Subscription(
            id=self.id,
            user_id=self.user_id,
            plan_id=self.plan_id,
            revision=self.revision,
            status=transition.target,
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
            changed_at=end or self.changed_at,
            events=events,
        )

    def _legal(self, action: Action, metadata: EventMetadata) -> tuple[Transition, EventMetadata]:
        """Return the transition for ``action``, and the metadata, dated no earlier than the last event.

        Raises:
            IllegalTransition: if the action is not allowed at that time.
        """
        metadata = metadata.not_before(self.changed_at)
        transition = find_transition(action, self.status_at(metadata.at))
        transition.check_guards(self)
        return transition, metadata

    def _apply(self, transition: Transition, metadata: EventMetadata) -> Subscription:
        """Return the subscription after the transition, with its event."""
        version = self.version + 1
        facts = self._facts(transition.target)
        event = metadata.event(transition.event, self.id, facts, user_id=self.user_id, version=version)
        return replace(
            self, status=transition.target, version=version, changed_at=metadata.at, events=(*self.events, event)
        )

    def _facts(self, status: Status) -> dict[str, object]:
        """Return the state after the transition, from which the status at any instant can be computed."""
        return {
            "plan_id": str(self.plan_id),
            "revision": self.revision,
            "status": status.value,
            "starts_at": instant_text(self.starts_at),
            "ends_at": instant_text(self.ends_at),
            "cancel_at": instant_text(self.cancel_at),
            "ended_at": instant_text(self.ended_at),
        }


def _end(transition: Transition, period: Period | None, anchor: datetime, periods: int) -> datetime | None:
    """Return the end of the last of ``periods``; ``None`` for a plan for life. Raises IllegalTransition."""
    if period is None:
        return None
    try:
        return period.end(anchor, periods)
    except ValidationError as refusal:
        raise IllegalTransition(transition.action, transition.source or NO_SUBSCRIPTION, refusal.detail) from None
