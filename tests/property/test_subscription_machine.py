"""The history of one user in memory: random actions, passing time, and an expiry job at any time.

A simple model without the table of transitions and without expiry stores what each subscription was promised,
and computes everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from smp.domain.access import EntitlementSnapshot, Reason, decide
from smp.domain.errors import IllegalTransition, PlanHasNoTrial
from smp.domain.events import SYSTEM, Actor, ActorType, DomainEvent, EventMetadata
from smp.domain.features import features
from smp.domain.money import Money
from smp.domain.period import Period
from smp.domain.plan.plan import PlanRevision, Terms
from smp.domain.subscription.lifecycle import LIVE, Status
from smp.domain.subscription.subscription import Subscription
from tests.support.builders import TICK

USER_ID: Final = UUID(int=1)
USER: Final = Actor(ActorType.USER, USER_ID)
FEATURES: Final = features({"export": True})


def revision(number: int, period: str | None, trial: str | None) -> PlanRevision:
    """Return a revision of a new plan."""
    terms = Terms(
        Money(100, "USD"),
        None if period is None else Period.parse(period),
        None if trial is None else Period.parse(trial),
        FEATURES,
    )
    return PlanRevision(UUID(int=100 + number), number, terms, datetime(2000, 1, 1, tzinfo=UTC))


REVISIONS: Final = tuple(
    revision(number, period, trial)
    for number, (period, trial) in enumerate(
        [("P1M", "P14D"), ("P1Y", "P1M"), ("PT1H", "PT1S"), ("P3M", None), (None, "P1W"), ("P1W", "P1Y")], start=1
    )
)


@dataclass
class Promise:
    """One subscription in the model."""

    revision: PlanRevision
    start: datetime
    is_paid: bool
    anchor: datetime
    paid: int
    end: datetime | None
    is_scheduled: bool = False
    stopped_at: datetime | None = None
    seen: list[tuple[datetime, Status]] = field(default_factory=list)

    def status(self, now: datetime) -> Status:
        """Compute the status from the span."""
        if self.stopped_at is not None and now >= self.stopped_at:
            return Status.CANCELLED
        if self.end is not None and now >= self.end:
            return Status.CANCELLED if self.is_scheduled else Status.EXPIRED
        return Status.ACTIVE if self.is_paid else Status.TRIAL

    def over_at(self) -> datetime | None:
        """Return the instant at which the subscription is over, as currently planned."""
        return self.end if self.stopped_at is None else self.stopped_at


class SubscriptionHistory(RuleBasedStateMachine):
    """The history of one user: ``stored`` rows, their model in ``promises``, and all ``events``."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: list[Subscription] = []
        self.promises: list[Promise] = []
        self.events: list[DomainEvent] = []
        self.ids = 1_000

    @initialize(
        start=st.datetimes(datetime(2019, 12, 1), datetime(2024, 3, 1), timezones=st.just(UTC))  # noqa: DTZ001
        | st.sampled_from([datetime(2024, 1, 31, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC)])
    )
    def begin(self, start: datetime) -> None:
        """Set the clock to its first instant."""
        self.now = start

    # ------------------------------------------------------------------------------------------------------------ time

    @rule(step=st.timedeltas(timedelta(0), timedelta(days=45)) | st.sampled_from([TICK, timedelta(days=400)]))
    def wait(self, step: timedelta) -> None:
        """Let time pass without any action."""
        self.set_clock(self.now + step)

    @precondition(lambda self: self.live_end() is not None)
    @rule(step=st.sampled_from([-TICK, timedelta(0), TICK]))
    def wait_for_the_end(self, step: timedelta) -> None:
        """Let time pass to exactly the end of the live span, or to one tick before or after it."""
        end = self.live_end()
        assert end is not None
        self.set_clock(max(self.now, end + step))

    def set_clock(self, now: datetime) -> None:
        """Record the status of every subscription, then set the clock."""
        if now > self.now:
            for stored, promise in zip(self.stored, self.promises, strict=True):
                promise.seen.append((self.now, stored.status_at(self.now)))
        self.now = now

    # --------------------------------------------------------------------------------------------------------- actions

    @rule(bound_to=st.sampled_from(REVISIONS))
    def start_trial(self, bound_to: PlanRevision) -> None:
        """Start a trial if nothing is live; an overdue subscription is ended first."""
        self.end_overdue()
        if self.live() is not None:
            return
        trial_period = bound_to.terms.trial_period
        if trial_period is None:
            self.assert_rejected(
                PlanHasNoTrial, lambda metadata: Subscription.start_trial(self.new_id(), USER_ID, bound_to, metadata)
            )
            return
        self.add(Subscription.start_trial(self.new_id(), USER_ID, bound_to, self.metadata()))
        end = trial_period.end(self.now, 1)
        self.promises.append(Promise(bound_to, self.now, False, self.now, 0, end))  # noqa: FBT003 - no money yet

    @rule(bound_to=st.sampled_from(REVISIONS))
    def activate(self, bound_to: PlanRevision) -> None:
        """Start a paid subscription, or convert a trial."""
        self.end_overdue()
        live = self.live()
        if live is None:
            self.add(Subscription.activate(self.new_id(), USER_ID, bound_to, self.metadata()))
            self.promises.append(Promise(bound_to, self.now, True, self.now, 1, self.end_of(bound_to, 1)))  # noqa: FBT003
        elif self.promises[live].is_paid:
            self.assert_rejected(IllegalTransition, lambda metadata: self.stored[live].convert(bound_to, metadata))
        else:
            self.save(live, self.stored[live].convert(bound_to, self.metadata()))
            promise = self.promises[live]
            promise.revision, promise.is_paid, promise.anchor, promise.paid = bound_to, True, self.now, 1
            promise.end, promise.is_scheduled = self.end_of(bound_to, 1), False

    @rule()
    def renew(self) -> None:
        """Pay for one more period."""
        index = self.newest()
        if index is None:
            return
        promise = self.promises[index]
        if promise.status(self.now) is Status.ACTIVE and promise.end is not None and not promise.is_scheduled:
            self.save(index, self.stored[index].renew(promise.revision, self.metadata()))
            promise.paid += 1
            period = promise.revision.terms.period
            assert period is not None
            promise.end = period.end(promise.anchor, promise.paid)
        else:
            self.assert_rejected(
                IllegalTransition, lambda metadata: self.stored[index].renew(promise.revision, metadata)
            )

    @rule()
    def cancel_at_period_end(self) -> None:
        """Schedule the cancellation; a second time changes nothing."""
        index = self.newest()
        if index is None:
            return
        promise = self.promises[index]
        if promise.status(self.now) not in LIVE or promise.end is None:
            self.assert_rejected(IllegalTransition, self.stored[index].cancel_at_period_end)
        elif promise.is_scheduled:
            assert self.stored[index].cancel_at_period_end(self.metadata()) is self.stored[index]
        else:
            self.save(index, self.stored[index].cancel_at_period_end(self.metadata()))
            promise.is_scheduled = True

    @rule()
    def resume(self) -> None:
        """Undo a scheduled cancellation."""
        index = self.newest()
        if index is None:
            return
        promise = self.promises[index]
        if promise.status(self.now) in LIVE and promise.is_scheduled:
            self.save(index, self.stored[index].resume(self.metadata()))
            promise.is_scheduled = False
        else:
            self.assert_rejected(IllegalTransition, self.stored[index].resume)

    @rule()
    def cancel_now(self) -> None:
        """Cancel immediately."""
        index = self.newest()
        if index is None:
            return
        promise = self.promises[index]
        if promise.status(self.now) in LIVE:
            self.save(index, self.stored[index].cancel_now(self.metadata()))
            promise.stopped_at = self.now
        else:
            self.assert_rejected(IllegalTransition, self.stored[index].cancel_now)

    @rule()
    def run_expiry_job(self) -> None:
        """End every overdue subscription; a second run changes nothing."""
        for index, before in enumerate(self.stored):
            after = before.apply_expiry(self.metadata())
            assert after.apply_expiry(self.metadata()) is after
            if after is not before:
                self.save(index, after)
                assert (self.events[-1].occurred_at, self.events[-1].actor) == (before.ends_at, SYSTEM)

    # ------------------------------------------------------------------------------------------------------ invariants

    @invariant()
    def status_and_access_equal_the_model(self) -> None:
        """They depend on the instant only, not on the expiry job."""
        for stored, promise in zip(self.stored, self.promises, strict=True):
            assert stored.status_at(self.now) is promise.status(self.now)
            snapshot = EntitlementSnapshot(stored.status, stored.ends_at, stored.cancel_at, "pro", FEATURES)
            decision = decide(snapshot, "export", self.now)
            over_at = promise.over_at()
            assert decision.allowed == (over_at is None or self.now < over_at)
            assert decision.allowed == (decision.reason is Reason.GRANTED)
            if over_at is not None:
                assert not decide(snapshot, "export", max(over_at, self.now)).allowed

    @invariant()
    def the_status_shown_is_the_one_that_the_expiry_job_will_store(self) -> None:
        """``as_of`` equals ``apply_expiry`` without its event."""
        for stored in self.stored:
            after = replace(stored.apply_expiry(self.metadata()), events=())
            assert stored.as_of(self.now) == after
            assert after.as_of(self.now) is after

    @invariant()
    def rows_satisfy_the_constraints_of_the_database(self) -> None:
        """Dates and counts agree with the status."""
        for stored, promise in zip(self.stored, self.promises, strict=True):
            assert (stored.starts_at, stored.ends_at) == (promise.start, promise.end)
            assert stored.ends_at is None or stored.starts_at < stored.ends_at
            assert stored.cancel_at in {None, stored.ends_at}
            assert (stored.ended_at is None) == (stored.status in LIVE)
            assert (stored.cancelled_at is None) == (stored.status is not Status.CANCELLED)
            if stored.status is Status.EXPIRED:
                assert (stored.ended_at, stored.cancel_at) == (stored.ends_at, None)
            if stored.status is Status.CANCELLED:
                assert stored.cancelled_at == stored.ended_at == promise.over_at()
            if stored.ended_at is not None:
                assert stored.starts_at <= stored.ended_at
                assert stored.ends_at is None or stored.ended_at <= stored.ends_at
            assert stored.periods_paid == promise.paid
            assert (stored.billing_anchor is None) == (not promise.is_paid) == (stored.periods_paid == 0)
            if promise.is_paid:
                assert stored.billing_anchor == promise.anchor == (stored.converted_at or stored.starts_at)
            if stored.trial_ends_at is not None:
                assert stored.trial_ends_at == (stored.converted_at or stored.ends_at)

    @invariant()
    def at_most_one_subscription_is_live_and_spans_do_not_overlap(self) -> None:
        assert sum(stored.status_at(self.now) in LIVE for stored in self.stored) <= 1
        assert sum(stored.status in LIVE for stored in self.stored) <= 1
        for earlier, later in zip(self.promises, self.promises[1:], strict=False):
            over_at = earlier.over_at()
            assert over_at is not None
            assert over_at <= later.start

    @invariant()
    def events_reproduce_every_status(self) -> None:
        """Versions have no gap, ids are unique, and replaying the events gives the status shown at each instant."""
        assert len({event.id for event in self.events}) == len(self.events)
        for stored, promise in zip(self.stored, self.promises, strict=True):
            events = [event for event in self.events if event.subject_id == stored.id]
            assert [event.version for event in events] == list(range(1, stored.version + 1))
            assert [event.occurred_at for event in events] == sorted(event.occurred_at for event in events)
            for instant, status in [*promise.seen, (self.now, stored.status_at(self.now))]:
                assert replayed(events, instant) == status

    # --------------------------------------------------------------------------------------------------------- helpers

    def new_id(self) -> UUID:
        """Return a new id."""
        self.ids += 1
        return UUID(int=self.ids)

    def metadata(self) -> EventMetadata:
        """Return metadata of a change that the user makes now."""
        return EventMetadata(self.now, USER, self.new_id())

    def end_of(self, bound_to: PlanRevision, paid: int) -> datetime | None:
        """Return the end of so many periods from now."""
        period = bound_to.terms.period
        return None if period is None else period.end(self.now, paid)

    def newest(self) -> int | None:
        """Return the index of the newest subscription."""
        return len(self.stored) - 1 if self.stored else None

    def live(self) -> int | None:
        """Return the index of the subscription that is live in the model."""
        index = self.newest()
        return None if index is None or self.promises[index].status(self.now) not in LIVE else index

    def live_end(self) -> datetime | None:
        """Return the end of the live span."""
        index = self.live()
        return None if index is None else self.promises[index].end

    def end_overdue(self) -> None:
        """End an overdue subscription, as starting a new one does in its transaction."""
        index = self.newest()
        if index is not None and self.stored[index].is_overdue(self.now):
            self.save(index, self.stored[index].apply_expiry(self.metadata()))

    def add(self, made: Subscription) -> None:
        """Add the subscription as a repository does."""
        assert (made.version, len(made.events)) == (1, 1)
        self.events += made.events
        self.stored.append(replace(made, events=()))

    def save(self, index: int, changed: Subscription) -> None:
        """Save the subscription as a repository does: the row, and exactly one event."""
        before = self.stored[index]
        assert (changed.version, len(changed.events)) == (before.version + 1, 1)
        assert (changed.id, changed.user_id, changed.starts_at) == (before.id, before.user_id, before.starts_at)
        self.events += changed.events
        self.stored[index] = replace(changed, events=())

    def assert_rejected(self, error: type[Exception], action: Callable[[EventMetadata], Subscription]) -> None:
        """Assert that the action is rejected and changes nothing."""
        before = list(self.stored)
        try:
            action(self.metadata())
        except error:
            assert self.stored == before
        else:
            raise AssertionError(f"{action} was not rejected")


def replayed(events: list[DomainEvent], instant: datetime) -> str:
    """Return the status at the instant, from the data of the last event until then and the calendar."""
    data = [event for event in events if event.occurred_at <= instant][-1].data
    ends_at = data["ends_at"]
    if data["status"] in {"trial", "active"} and ends_at is not None:
        assert isinstance(ends_at, str)
        if instant >= datetime.fromisoformat(ends_at):
            return "expired" if data["cancel_at"] is None else "cancelled"
    return str(data["status"])


TestSubscriptionHistory = SubscriptionHistory.TestCase
