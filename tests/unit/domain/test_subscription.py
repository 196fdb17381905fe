"""What each action of a subscription does to its dates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from smp.domain.errors import IllegalTransition, PlanHasNoTrial
from smp.domain.events import EventMetadata
from smp.domain.subscription.lifecycle import Status
from smp.domain.subscription.subscription import Subscription
from tests.support.builders import (
    DURING,
    FIRST_END,
    LATER,
    LIFETIME,
    MONTHLY,
    OTHER_PLAN_ID,
    PLAN_ID,
    SECOND_END,
    START,
    SUBSCRIPTION_ID,
    TICK,
    TRIAL_END,
    USER_ID,
    a_revision,
    lifetime_active,
    monthly_active,
    monthly_trial,
    some_metadata,
    some_terms,
)


def test_a_trial_lasts_its_trial_period_and_has_paid_nothing() -> None:
    made = monthly_trial()
    assert made == Subscription(
        id=SUBSCRIPTION_ID,
        user_id=USER_ID,
        plan_id=PLAN_ID,
        revision=1,
        status=Status.TRIAL,
        starts_at=START,
        ends_at=TRIAL_END,
        trial_ends_at=TRIAL_END,
        billing_anchor=None,
        periods_paid=0,
        converted_at=None,
        cancel_at=None,
        cancelled_at=None,
        ended_at=None,
        version=1,
        created_at=START,
        changed_at=START,
        events=made.events,
    )


def test_the_first_period_of_a_new_subscription_is_paid_and_counted_from_its_start() -> None:
    made = monthly_active()
    assert made == Subscription(
        id=SUBSCRIPTION_ID,
        user_id=USER_ID,
        plan_id=PLAN_ID,
        revision=1,
        status=Status.ACTIVE,
        starts_at=START,
        ends_at=FIRST_END,
        trial_ends_at=None,
        billing_anchor=START,
        periods_paid=1,
        converted_at=None,
        cancel_at=None,
        cancelled_at=None,
        ended_at=None,
        version=1,
        created_at=START,
        changed_at=START,
        events=made.events,
    )


def test_a_lifetime_subscription_has_no_end_and_is_never_overdue() -> None:
    made = lifetime_active()
    assert (made.ends_at, made.periods_paid, made.billing_anchor) == (None, 1, START)
    assert made.status_at(datetime(9999, 12, 31, tzinfo=UTC)) is Status.ACTIVE
    assert not made.is_overdue(datetime(9999, 12, 31, tzinfo=UTC))


def test_a_plan_without_a_trial_period_has_no_trial() -> None:
    """The error contains the plan."""
    with pytest.raises(PlanHasNoTrial) as refusal:
        Subscription.start_trial(SUBSCRIPTION_ID, USER_ID, a_revision(some_terms(trial=None)), some_metadata(START))
    assert refusal.value.plan == str(PLAN_ID)


@pytest.mark.parametrize("build", [monthly_trial, monthly_active])
def test_a_subscription_is_over_exactly_at_its_end(build: Callable[[], Subscription]) -> None:
    """One tick before ``ends_at`` it is live. At ``ends_at`` it is over, and no action is possible."""
    made = build()
    end = made.ends_at
    assert end is not None
    assert made.status_at(end - TICK) is made.status
    assert not made.is_overdue(end - TICK)
    assert made.status_at(end) is Status.EXPIRED
    assert made.is_overdue(end)
    assert made.cancel_now(some_metadata(end - TICK)).ended_at == end - TICK
    with pytest.raises(IllegalTransition):
        made.cancel_now(some_metadata(end))


def test_converting_a_trial_starts_the_first_paid_period_now() -> None:
    """``starts_at`` stays the start of the trial; the billing anchor is the conversion, which also ends the trial."""
    converted = monthly_trial().convert(MONTHLY, some_metadata(DURING))
    assert converted.starts_at == START
    assert (converted.billing_anchor, converted.converted_at, converted.trial_ends_at) == (DURING, DURING, DURING)
    assert converted.ends_at == datetime(2024, 3, 3, 4, 5, 6, 789, tzinfo=UTC)
    assert (converted.periods_paid, converted.status) == (1, Status.ACTIVE)


def test_a_trial_can_be_converted_to_another_plan() -> None:
    """The subscription takes the revision and the period of that plan."""
    yearly = a_revision(some_terms(period="P1Y"), OTHER_PLAN_ID, 7)
    converted = monthly_trial().convert(yearly, some_metadata(DURING))
    assert (converted.plan_id, converted.revision) == (OTHER_PLAN_ID, 7)
    assert converted.ends_at == DURING.replace(year=2025)


def test_a_trial_can_be_converted_to_a_lifetime_plan() -> None:
    converted = monthly_trial().convert(LIFETIME, some_metadata(DURING))
    assert (converted.ends_at, converted.status) == (None, Status.ACTIVE)


def test_conversion_undoes_a_scheduled_cancellation() -> None:
    """A subscriber who pays wants to stay: the new period ends with expiry, not with cancellation."""
    converted = monthly_trial().cancel_at_period_end(some_metadata(DURING)).convert(MONTHLY, some_metadata(DURING))
    assert converted.cancel_at is None
    assert converted.status_at(LATER) is Status.EXPIRED


def test_renewing_early_adds_a_period_counted_from_the_anchor() -> None:
    """From January 31 the ends are February 29, March 31, April 30, May 31: a short month shortens only itself."""
    subscription = monthly_active()
    ends = [subscription.ends_at]
    for _ in range(3):
        subscription = subscription.renew(MONTHLY, some_metadata(DURING))
        ends.append(subscription.ends_at)
    assert ends == [FIRST_END, SECOND_END, *(datetime(2024, m, d, 10, 30, tzinfo=UTC) for m, d in [(4, 30), (5, 31)])]
    assert (subscription.periods_paid, subscription.billing_anchor, subscription.starts_at) == (4, START, START)
    assert [event.version for event in subscription.events] == [1, 2, 3, 4]


def test_renewing_a_converted_trial_counts_from_the_conversion() -> None:
    """The start of the trial has no influence on the paid ends."""
    at = datetime(2024, 2, 10, tzinfo=UTC)
    renewed = monthly_trial().convert(MONTHLY, some_metadata(at)).renew(MONTHLY, some_metadata(at))
    assert renewed.ends_at == datetime(2024, 4, 10, tzinfo=UTC)


def test_a_scheduled_cancellation_keeps_the_end_and_resuming_undoes_it() -> None:
    """Scheduling sets ``cancel_at`` to ``ends_at`` and changes nothing else. Resuming leaves only the events."""
    subscription = monthly_active()
    scheduled = subscription.cancel_at_period_end(some_metadata(DURING))
    assert scheduled == replace(
        subscription, cancel_at=FIRST_END, version=2, changed_at=DURING, events=scheduled.events
    )
    assert (scheduled.cancelled_at, scheduled.ended_at) == (None, None)
    resumed = scheduled.resume(some_metadata(DURING))
    assert resumed == replace(subscription, version=3, changed_at=DURING, events=resumed.events)


def test_a_scheduled_cancellation_takes_effect_at_the_end() -> None:
    """``cancelled_at`` and ``ended_at`` are that end, however late the expiry job runs; the actor is the system."""
    scheduled = monthly_active().cancel_at_period_end(some_metadata(DURING))
    settled = scheduled.apply_expiry(some_metadata(LATER))
    assert (settled.status, settled.cancelled_at, settled.ended_at) == (Status.CANCELLED, FIRST_END, FIRST_END)
    assert settled.cancel_at == FIRST_END
    assert settled.events[-1].data["cancel_at"] == "2024-02-29T10:30:00Z"


def test_an_expired_subscription_is_not_marked_as_cancelled() -> None:
    """``ended_at`` is ``ends_at`` and ``cancelled_at`` stays empty."""
    settled = monthly_trial().apply_expiry(some_metadata(LATER))
    assert (settled.status, settled.cancelled_at, settled.ended_at) == (Status.EXPIRED, None, TRIAL_END)


def test_cancelling_now_ends_the_subscription_at_once_and_keeps_the_planned_end() -> None:
    """``ended_at`` and ``cancelled_at`` are now; a scheduled cancellation is removed."""
    cancelled = monthly_active().cancel_at_period_end(some_metadata(DURING)).cancel_now(some_metadata(DURING + TICK))
    assert (cancelled.cancelled_at, cancelled.ended_at) == (DURING + TICK, DURING + TICK)
    assert (cancelled.cancel_at, cancelled.ends_at) == (None, FIRST_END)
    assert cancelled.as_of(LATER) is cancelled


@pytest.mark.parametrize(
    "act",
    [
        lambda changed, at: changed.renew(MONTHLY, at),
        Subscription.cancel_at_period_end,
        lambda changed, at: changed.cancel_at_period_end(at).resume(at),
        Subscription.cancel_now,
    ],
    ids=["renew", "cancel at period end", "resume", "cancel now"],
)
def test_no_event_is_dated_before_the_last_one(act: Callable[[Subscription, EventMetadata], Subscription]) -> None:
    """If the clock of another server was ahead, the next action counts as made at the time of the last one."""
    changed = act(monthly_active().renew(MONTHLY, some_metadata(DURING)), some_metadata(DURING - TICK))
    assert {event.occurred_at for event in changed.events[1:]} == {DURING}
    assert changed.changed_at == DURING
    assert changed.ended_at in {None, DURING}


def test_a_trial_is_not_converted_before_its_start() -> None:
    converted = monthly_trial().convert(MONTHLY, some_metadata(START - TICK))
    assert (converted.converted_at, converted.billing_anchor, converted.trial_ends_at) == (START, START, START)


@pytest.mark.parametrize(
    ("scheduled", "over", "word"),
    [
        (False, False, "for life"),
        (True, False, "resume it first"),
        (False, True, "expired"),
        (True, True, "cancelled"),
    ],
)
def test_a_rejected_renewal_gives_the_reason(*, scheduled: bool, over: bool, word: str) -> None:
    """The text contains the effective status and what prevents the renewal."""
    subscription = (
        monthly_active().cancel_at_period_end(some_metadata(DURING))
        if scheduled
        else monthly_active()
        if over
        else lifetime_active()
    )
    with pytest.raises(IllegalTransition, match=word):
        subscription.renew(MONTHLY, some_metadata(LATER if over else DURING))


CENTURY = a_revision(some_terms(period="P100Y", trial="P100Y"))
FAR = datetime(9950, 1, 1, tzinfo=UTC)


def test_a_subscription_that_would_end_after_the_year_9999_is_rejected() -> None:
    running = Subscription.activate(SUBSCRIPTION_ID, USER_ID, CENTURY, some_metadata(datetime(9800, 1, 1, tzinfo=UTC)))
    far = some_metadata(FAR)
    attempts: list[tuple[str, str, Callable[[], Subscription]]] = [
        (
            "start_trial",
            "nothing",
            lambda: Subscription.start_trial(SUBSCRIPTION_ID, USER_ID, CENTURY, some_metadata(FAR)),
        ),
        ("activate", "nothing", lambda: Subscription.activate(SUBSCRIPTION_ID, USER_ID, CENTURY, some_metadata(FAR))),
        ("activate", "trial", lambda: replace(monthly_trial(), ends_at=None).convert(CENTURY, far)),
        ("renew", "active", lambda: running.renew(CENTURY, some_metadata(FAR.replace(year=9850)))),
    ]
    for action, status, attempt in attempts:
        with pytest.raises(IllegalTransition, match="9999") as refusal:
            attempt()
        assert (refusal.value.action, refusal.value.status) == (action, status)
