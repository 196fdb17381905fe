"""What the verbs of a subscription do to its dates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from smp.domain.errors import IllegalTransition, PlanHasNoTrial
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


def test_a_new_trial() -> None:
    """A trial lasts the trial period, has no anchor and has paid nothing."""
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
        events=made.events,
    )


def test_a_new_paid_subscription() -> None:
    """The first period is paid and counted from the start."""
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
        events=made.events,
    )


def test_a_subscription_for_life_has_no_end() -> None:
    """It is active at every instant, and never due."""
    made = lifetime_active()
    assert (made.ends_at, made.periods_paid, made.billing_anchor) == (None, 1, START)
    assert made.status_at(datetime(9999, 12, 31, tzinfo=UTC)) is Status.ACTIVE
    assert not made.is_overdue(datetime(9999, 12, 31, tzinfo=UTC))


def test_a_plan_without_trial_gives_none() -> None:
    """The refusal names the plan."""
    with pytest.raises(PlanHasNoTrial) as refusal:
        Subscription.start_trial(SUBSCRIPTION_ID, USER_ID, a_revision(some_terms(trial=None)), some_metadata(START))
    assert refusal.value.plan == str(PLAN_ID)


@pytest.mark.parametrize("build", [monthly_trial, monthly_active])
def test_the_span_is_half_open(build: Callable[[], Subscription]) -> None:
    """A tick before ends_at it is live; at ends_at exactly it is over, and nobody can move it any more."""
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


def test_conversion_starts_the_first_paid_period_now() -> None:
    """starts_at stays the trial's; the anchor is the conversion, at which the trial is over."""
    converted = monthly_trial().convert(MONTHLY, some_metadata(DURING))
    assert converted.starts_at == START
    assert (converted.billing_anchor, converted.converted_at, converted.trial_ends_at) == (DURING, DURING, DURING)
    assert converted.ends_at == datetime(2024, 3, 3, 4, 5, 6, 789, tzinfo=UTC)
    assert (converted.periods_paid, converted.status) == (1, Status.ACTIVE)


def test_conversion_binds_to_the_revision_it_is_given() -> None:
    """Also to another plan's, with that plan's period."""
    yearly = a_revision(some_terms(period="P1Y"), OTHER_PLAN_ID, 7)
    converted = monthly_trial().convert(yearly, some_metadata(DURING))
    assert (converted.plan_id, converted.revision) == (OTHER_PLAN_ID, 7)
    assert converted.ends_at == DURING.replace(year=2025)


def test_conversion_to_a_plan_for_life() -> None:
    """It has no end from then on."""
    converted = monthly_trial().convert(LIFETIME, some_metadata(DURING))
    assert (converted.ends_at, converted.status) == (None, Status.ACTIVE)


def test_conversion_undoes_a_scheduled_cancellation() -> None:
    """Who pays wants to stay: the new period's end expires, it does not cancel."""
    converted = monthly_trial().cancel_at_period_end(some_metadata(DURING)).convert(MONTHLY, some_metadata(DURING))
    assert converted.cancel_at is None
    assert converted.status_at(LATER) is Status.EXPIRED


def test_renewing_early_adds_a_period_counted_from_the_anchor() -> None:
    """From January 31 the ends are February 29, March 31, April 30, May 31: a short month shortens itself alone."""
    subscription = monthly_active()
    ends = [subscription.ends_at]
    for _ in range(3):
        subscription = subscription.renew(MONTHLY, some_metadata(DURING))
        ends.append(subscription.ends_at)
    assert ends == [FIRST_END, SECOND_END, *(datetime(2024, m, d, 10, 30, tzinfo=UTC) for m, d in [(4, 30), (5, 31)])]
    assert (subscription.periods_paid, subscription.billing_anchor, subscription.starts_at) == (4, START, START)
    assert [event.version for event in subscription.events] == [1, 2, 3, 4]


def test_renewing_a_converted_trial_counts_from_the_conversion() -> None:
    """The trial's start plays no part in the paid ends."""
    at = datetime(2024, 2, 10, tzinfo=UTC)
    renewed = monthly_trial().convert(MONTHLY, some_metadata(at)).renew(MONTHLY, some_metadata(at))
    assert renewed.ends_at == datetime(2024, 4, 10, tzinfo=UTC)


def test_scheduling_keeps_the_end_and_resuming_takes_the_mark_away() -> None:
    """cancel_at is ends_at and nothing else changes; after resuming nothing is left of it but the events."""
    subscription = monthly_active()
    scheduled = subscription.cancel_at_period_end(some_metadata(DURING))
    assert scheduled == replace(subscription, cancel_at=FIRST_END, version=2, events=scheduled.events)
    assert (scheduled.cancelled_at, scheduled.ended_at) == (None, None)
    resumed = scheduled.resume(some_metadata(DURING))
    assert resumed == replace(subscription, version=3, events=resumed.events)


def test_a_scheduled_cancellation_takes_effect_at_the_end() -> None:
    """Then cancelled_at and ended_at are that end, however late the expiry job runs, and the system did it."""
    scheduled = monthly_active().cancel_at_period_end(some_metadata(DURING))
    settled = scheduled.apply_expiry(some_metadata(LATER))
    assert (settled.status, settled.cancelled_at, settled.ended_at) == (Status.CANCELLED, FIRST_END, FIRST_END)
    assert settled.cancel_at == FIRST_END
    assert settled.events[-1].data["cancel_at"] == "2024-02-29T10:30:00Z"


def test_an_expiry_is_not_a_cancellation() -> None:
    """ended_at is the ends_at instant and cancelled_at stays empty."""
    settled = monthly_trial().apply_expiry(some_metadata(LATER))
    assert (settled.status, settled.cancelled_at, settled.ended_at) == (Status.EXPIRED, None, TRIAL_END)


def test_cancelling_now_keeps_the_end_that_it_would_have_had() -> None:
    """ended_at = cancelled_at = now; a mark for the period's end is gone."""
    cancelled = monthly_active().cancel_at_period_end(some_metadata(DURING)).cancel_now(some_metadata(DURING + TICK))
    assert (cancelled.cancelled_at, cancelled.ended_at) == (DURING + TICK, DURING + TICK)
    assert (cancelled.cancel_at, cancelled.ends_at) == (None, FIRST_END)
    assert cancelled.as_of(LATER) is cancelled


def test_a_clock_that_is_behind_ends_nothing_before_its_start() -> None:
    """Where another server's clock was ahead at the start, what comes next is taken to be at the start."""
    behind = some_metadata(START - timedelta(milliseconds=50))
    cancelled = monthly_active().cancel_now(behind)
    assert (cancelled.cancelled_at, cancelled.ended_at, cancelled.events[-1].occurred_at) == (START, START, START)
    converted = monthly_trial().convert(MONTHLY, behind)
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
def test_a_refused_renewal_says_why(*, scheduled: bool, over: bool, word: str) -> None:
    """The text names the status that holds, and what is in the way."""
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


def test_nothing_is_made_that_would_end_after_the_calendar() -> None:
    """The year 9999 is the last: what would end later is refused as a date that forbids the move."""
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
