"""A user's whole history in memory: random verbs, moving time, an expiry job at any time; against a naive model.

The model has no table and no expiry: it stores what each subscription was promised, and derives the rest.
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
    """A revision of a plan of its own."""
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
    """What the model knows of one subscription."""

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
        """By the span alone."""
        if self.stopped_at is not None and now >= self.stopped_at:
            return Status.CANCELLED
        if self.end is not None and now >= self.end:
            return Status.CANCELLED if self.is_scheduled else Status.EXPIRED
        return Status.ACTIVE if self.is_paid else Status.TRIAL

    def over_at(self) -> datetime | None:
        """Where the span ends, as things stand."""
        return self.end if self.stopped_at is None else self.stopped_at


class SubscriptionHistory(RuleBasedStateMachine):
    """One user; ``kept`` are the rows as last written, ``promises`` the model, ``told`` all events."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Subscription] = []
        self.promises: list[Promise] = []
        self.told: list[DomainEvent] = []
        self.ids = 1_000

    @initialize(
        start=st.datetimes(datetime(2019, 12, 1), datetime(2024, 3, 1), timezones=st.just(UTC))  # noqa: DTZ001
        | st.sampled_from([datetime(2024, 1, 31, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC)])
    )
    def begin(self, start: datetime) -> None:
        """The clock's first instant."""
        self.now = start

    # ------------------------------------------------------------------------------------------------------------ time

    @rule(step=st.timedeltas(timedelta(0), timedelta(days=45)) | st.sampled_from([TICK, timedelta(days=400)]))
    def wait(self, step: timedelta) -> None:
        """Time passes, and nobody looks."""
        self.move_to(self.now + step)

    @precondition(lambda self: self.live_end() is not None)
    @rule(step=st.sampled_from([-TICK, timedelta(0), TICK]))
    def wait_for_the_end(self, step: timedelta) -> None:
        """Time passes to the very end of the live span, or a tick beside it."""
        end = self.live_end()
        assert end is not None
        self.move_to(max(self.now, end + step))

    def move_to(self, now: datetime) -> None:
        """Note what every subscription was at the instant that is left, then leave it."""
        if now > self.now:
            for kept, promise in zip(self.kept, self.promises, strict=True):
                promise.seen.append((self.now, kept.status_at(self.now)))
        self.now = now

    # ----------------------------------------------------------------------------------------------------------- verbs

    @rule(bound_to=st.sampled_from(REVISIONS))
    def start_trial(self, bound_to: PlanRevision) -> None:
        """Begin anew with a trial, where nothing is live; an overdue one is settled on the way."""
        self.make_room()
        if self.live() is not None:
            return
        trial_period = bound_to.terms.trial_period
        if trial_period is None:
            self.refused(PlanHasNoTrial, lambda why: Subscription.start_trial(self.new_id(), USER_ID, bound_to, why))
            return
        self.keep_new(Subscription.start_trial(self.new_id(), USER_ID, bound_to, self.metadata()))
        end = trial_period.end(self.now, 1)
        self.promises.append(Promise(bound_to, self.now, False, self.now, 0, end))  # noqa: FBT003 - no money yet

    @rule(bound_to=st.sampled_from(REVISIONS))
    def activate(self, bound_to: PlanRevision) -> None:
        """Begin anew, or convert a trial, for money."""
        self.make_room()
        live = self.live()
        if live is None:
            self.keep_new(Subscription.activate(self.new_id(), USER_ID, bound_to, self.metadata()))
            self.promises.append(Promise(bound_to, self.now, True, self.now, 1, self.end_of(bound_to, 1)))  # noqa: FBT003
        elif self.promises[live].is_paid:
            self.refused(IllegalTransition, lambda why: self.kept[live].convert(bound_to, why))
        else:
            self.keep(live, self.kept[live].convert(bound_to, self.metadata()))
            promise = self.promises[live]
            promise.revision, promise.is_paid, promise.anchor, promise.paid = bound_to, True, self.now, 1
            promise.end, promise.is_scheduled = self.end_of(bound_to, 1), False

    @rule()
    def renew(self) -> None:
        """One more period."""
        index = self.newest()
        if index is None:
            return
        promise = self.promises[index]
        if promise.status(self.now) is Status.ACTIVE and promise.end is not None and not promise.is_scheduled:
            self.keep(index, self.kept[index].renew(promise.revision, self.metadata()))
            promise.paid += 1
            period = promise.revision.terms.period
            assert period is not None
            promise.end = period.end(promise.anchor, promise.paid)
        else:
            self.refused(IllegalTransition, lambda why: self.kept[index].renew(promise.revision, why))

    @rule()
    def cancel_at_period_end(self) -> None:
        """Not to go on; twice is once."""
        index = self.newest()
        if index is None:
            return
        promise = self.promises[index]
        if promise.status(self.now) not in LIVE or promise.end is None:
            self.refused(IllegalTransition, self.kept[index].cancel_at_period_end)
        elif promise.is_scheduled:
            assert self.kept[index].cancel_at_period_end(self.metadata()) is self.kept[index]
        else:
            self.keep(index, self.kept[index].cancel_at_period_end(self.metadata()))
            promise.is_scheduled = True

    @rule()
    def resume(self) -> None:
        """To go on after all."""
        index = self.newest()
        if index is None:
            return
        promise = self.promises[index]
        if promise.status(self.now) in LIVE and promise.is_scheduled:
            self.keep(index, self.kept[index].resume(self.metadata()))
            promise.is_scheduled = False
        else:
            self.refused(IllegalTransition, self.kept[index].resume)

    @rule()
    def cancel_now(self) -> None:
        """To stop at this instant."""
        index = self.newest()
        if index is None:
            return
        promise = self.promises[index]
        if promise.status(self.now) in LIVE:
            self.keep(index, self.kept[index].cancel_now(self.metadata()))
            promise.stopped_at = self.now
        else:
            self.refused(IllegalTransition, self.kept[index].cancel_now)

    @rule()
    def run_expiry_job(self) -> None:
        """End every overdue subscription; a second run has nothing to do."""
        for index, before in enumerate(self.kept):
            settled = before.apply_expiry(self.metadata())
            assert settled.apply_expiry(self.metadata()) is settled
            if settled is not before:
                self.keep(index, settled)
                assert (self.told[-1].occurred_at, self.told[-1].actor) == (before.ends_at, SYSTEM)

    # ------------------------------------------------------------------------------------------------------ invariants

    @invariant()
    def what_is_read_is_what_the_model_says(self) -> None:
        """Status and access depend on the instant only, not on the expiry job."""
        for kept, promise in zip(self.kept, self.promises, strict=True):
            assert kept.status_at(self.now) is promise.status(self.now)
            snapshot = EntitlementSnapshot(kept.status, kept.ends_at, kept.cancel_at, "pro", FEATURES)
            decision = decide(snapshot, "export", self.now)
            over_at = promise.over_at()
            assert decision.allowed == (over_at is None or self.now < over_at)
            assert decision.allowed == (decision.reason is Reason.GRANTED)
            if over_at is not None:
                assert not decide(snapshot, "export", max(over_at, self.now)).allowed

    @invariant()
    def a_reader_shows_what_the_expiry_job_will_write(self) -> None:
        """``as_of`` is ``apply_expiry`` without its event."""
        for kept in self.kept:
            settled = replace(kept.apply_expiry(self.metadata()), events=())
            assert kept.as_of(self.now) == settled
            assert settled.as_of(self.now) is settled

    @invariant()
    def rows_are_as_the_database_will_have_them(self) -> None:
        """Ends, marks and counts agree with the status, as the named constraints demand."""
        for kept, promise in zip(self.kept, self.promises, strict=True):
            assert (kept.starts_at, kept.ends_at) == (promise.start, promise.end)
            assert kept.ends_at is None or kept.starts_at < kept.ends_at
            assert kept.cancel_at in {None, kept.ends_at}
            assert (kept.ended_at is None) == (kept.status in LIVE)
            assert (kept.cancelled_at is None) == (kept.status is not Status.CANCELLED)
            if kept.status is Status.EXPIRED:
                assert (kept.ended_at, kept.cancel_at) == (kept.ends_at, None)
            if kept.status is Status.CANCELLED:
                assert kept.cancelled_at == kept.ended_at == promise.over_at()
            if kept.ended_at is not None:
                assert kept.starts_at <= kept.ended_at
                assert kept.ends_at is None or kept.ended_at <= kept.ends_at
            assert kept.periods_paid == promise.paid
            assert (kept.billing_anchor is None) == (not promise.is_paid) == (kept.periods_paid == 0)
            if promise.is_paid:
                assert kept.billing_anchor == promise.anchor == (kept.converted_at or kept.starts_at)
            if kept.trial_ends_at is not None:
                assert kept.trial_ends_at == (kept.converted_at or kept.ends_at)

    @invariant()
    def at_most_one_is_live_and_spans_do_not_overlap(self) -> None:
        """The half-open spans of one user stand one behind the other."""
        assert sum(kept.status_at(self.now) in LIVE for kept in self.kept) <= 1
        assert sum(kept.status in LIVE for kept in self.kept) <= 1
        for earlier, later in zip(self.promises, self.promises[1:], strict=False):
            over_at = earlier.over_at()
            assert over_at is not None
            assert over_at <= later.start

    @invariant()
    def events_tell_the_whole_story(self) -> None:
        """Versions have no gap, ids are never given twice, and replaying gives at each instant what was seen then."""
        assert len({event.id for event in self.told}) == len(self.told)
        for kept, promise in zip(self.kept, self.promises, strict=True):
            events = [event for event in self.told if event.subject_id == kept.id]
            assert [event.version for event in events] == list(range(1, kept.version + 1))
            assert [event.occurred_at for event in events] == sorted(event.occurred_at for event in events)
            for instant, status in [*promise.seen, (self.now, kept.status_at(self.now))]:
                assert replayed(events, instant) == status

    # --------------------------------------------------------------------------------------------------------- helpers

    def new_id(self) -> UUID:
        """An id that was never given."""
        self.ids += 1
        return UUID(int=self.ids)

    def metadata(self) -> EventMetadata:
        """The user does it now."""
        return EventMetadata(self.now, USER, self.new_id())

    def end_of(self, bound_to: PlanRevision, paid: int) -> datetime | None:
        """The end of so many periods from now."""
        period = bound_to.terms.period
        return None if period is None else period.end(self.now, paid)

    def newest(self) -> int | None:
        """Where the newest subscription stands."""
        return len(self.kept) - 1 if self.kept else None

    def live(self) -> int | None:
        """Where the live one stands, by the model."""
        index = self.newest()
        return None if index is None or self.promises[index].status(self.now) not in LIVE else index

    def live_end(self) -> datetime | None:
        """Where the live span ends."""
        index = self.live()
        return None if index is None else self.promises[index].end

    def make_room(self) -> None:
        """Settle what is overdue, as starting again does in its own transaction."""
        index = self.newest()
        if index is not None and self.kept[index].is_overdue(self.now):
            self.keep(index, self.kept[index].apply_expiry(self.metadata()))

    def keep_new(self, made: Subscription) -> None:
        """As a repository adds."""
        assert (made.version, len(made.events)) == (1, 1)
        self.told += made.events
        self.kept.append(replace(made, events=()))

    def keep(self, index: int, changed: Subscription) -> None:
        """As a repository saves: the row, and exactly one event."""
        before = self.kept[index]
        assert (changed.version, len(changed.events)) == (before.version + 1, 1)
        assert (changed.id, changed.user_id, changed.starts_at) == (before.id, before.user_id, before.starts_at)
        self.told += changed.events
        self.kept[index] = replace(changed, events=())

    def refused(self, error: type[Exception], verb: Callable[[EventMetadata], Subscription]) -> None:
        """The verb refuses, and what is kept is as it was."""
        before = list(self.kept)
        try:
            verb(self.metadata())
        except error:
            assert self.kept == before
        else:
            raise AssertionError(f"{verb} was not refused")


def replayed(events: list[DomainEvent], instant: datetime) -> str:
    """The status at the instant, from the last event until then: its data and the calendar, nothing else."""
    data = [event for event in events if event.occurred_at <= instant][-1].data
    ends_at = data["ends_at"]
    if data["status"] in {"trial", "active"} and ends_at is not None:
        assert isinstance(ends_at, str)
        if instant >= datetime.fromisoformat(ends_at):
            return "expired" if data["cancel_at"] is None else "cancelled"
    return str(data["status"])


TestSubscriptionHistory = SubscriptionHistory.TestCase
