"""Every pair of status and action: once in the table of transitions, once by the methods of the aggregate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

import pytest

from smp.domain.errors import IllegalTransition
from smp.domain.events import SYSTEM, ActorType, EventMetadata
from smp.domain.subscription.lifecycle import (
    LIVE,
    TERMINAL,
    TRANSITIONS,
    Action,
    Status,
    SubscriptionEventType,
    find_transition,
)
from smp.domain.subscription.subscription import Subscription
from tests.support.builders import (
    ADMIN,
    DURING,
    FIRST_END,
    LATER,
    MONTHLY,
    START,
    TRIAL_END,
    lifetime_active,
    monthly_active,
    monthly_trial,
    some_metadata,
)

# Written by hand from the contract, not drawn from the code, so that a cell that changes is a cell that fails.
ALLOWED: Final = MappingProxyType(
    {
        ("start_trial", None): ("trial", "subscription.trial_started"),
        ("activate", None): ("active", "subscription.activated"),
        ("activate", "trial"): ("active", "subscription.converted"),
        ("renew", "active"): ("active", "subscription.renewed"),
        ("cancel_at_period_end", "trial"): ("trial", "subscription.cancel_scheduled"),
        ("cancel_at_period_end", "active"): ("active", "subscription.cancel_scheduled"),
        ("resume", "trial"): ("trial", "subscription.resumed"),
        ("resume", "active"): ("active", "subscription.resumed"),
        ("cancel_now", "trial"): ("cancelled", "subscription.cancelled"),
        ("cancel_now", "active"): ("cancelled", "subscription.cancelled"),
        ("expire", "trial"): ("expired", "subscription.expired"),
        ("expire", "active"): ("expired", "subscription.expired"),
        ("complete_cancellation", "trial"): ("cancelled", "subscription.cancelled"),
        ("complete_cancellation", "active"): ("cancelled", "subscription.cancelled"),
    }
)
SOURCES: Final = (None, "trial", "active", "expired", "cancelled")
ACTIONS: Final = (
    "start_trial",
    "activate",
    "renew",
    "cancel_at_period_end",
    "resume",
    "cancel_now",
    "expire",
    "complete_cancellation",
)


def test_the_cells_contain_every_action_and_every_status() -> None:
    assert [action.value for action in Action] == list(ACTIONS)
    assert [status.value for status in Status] == list(SOURCES[1:])


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("action", ACTIONS)
def test_the_table_allows_exactly_the_listed_transitions(action: str, source: str | None) -> None:
    """An allowed transition has its target and its event; every other one is rejected with its action and status."""
    status = None if source is None else Status(source)
    if (action, source) in ALLOWED:
        transition = find_transition(Action(action), status)
        assert (transition.action, transition.source) == (action, source)
        assert (transition.target, transition.event) == ALLOWED[action, source]
    else:
        with pytest.raises(IllegalTransition) as refusal:
            find_transition(Action(action), status)
        assert (refusal.value.action, refusal.value.status) == (action, source or "nothing")


def test_each_transition_is_in_the_table_once() -> None:
    cells = [(row.action, row.source) for row in TRANSITIONS]
    assert len(cells) == len(set(cells)) == len(ALLOWED)


def test_no_transition_leaves_a_final_status() -> None:
    """Every status is either live or final."""
    assert {Status.TRIAL, Status.ACTIVE} == LIVE
    assert {Status.EXPIRED, Status.CANCELLED} == TERMINAL
    assert not [row for row in TRANSITIONS if row.source in TERMINAL]


def scheduled(subscription: Subscription) -> Subscription:
    """Return the subscription with a cancellation scheduled at DURING."""
    return subscription.cancel_at_period_end(some_metadata(DURING))


# How a subscription can stand, and the instant at which it is read.
SITUATIONS: Final = MappingProxyType(
    {
        "trial": (monthly_trial, DURING),
        "trial, cancel scheduled": (lambda: scheduled(monthly_trial()), DURING),
        "trial, overdue": (monthly_trial, LATER),
        "trial, cancel scheduled, overdue": (lambda: scheduled(monthly_trial()), LATER),
        "trial, at its end": (monthly_trial, TRIAL_END),
        "active": (monthly_active, DURING),
        "active, cancel scheduled": (lambda: scheduled(monthly_active()), DURING),
        "active, overdue": (monthly_active, LATER),
        "active, cancel scheduled, overdue": (lambda: scheduled(monthly_active()), LATER),
        "active, at its end": (monthly_active, FIRST_END),
        "active for life": (lifetime_active, LATER),
        "expired": (lambda: monthly_active().apply_expiry(some_metadata(LATER)), LATER),
        "cancelled at its end": (lambda: scheduled(monthly_active()).apply_expiry(some_metadata(LATER)), LATER),
        "cancelled at once": (lambda: monthly_active().cancel_now(some_metadata(DURING)), DURING),
        "cancelled for life": (lambda: lifetime_active().cancel_now(some_metadata(DURING)), LATER),
        "cancelled at once, read after the end it would have had": (
            lambda: monthly_active().cancel_now(some_metadata(DURING)),
            LATER,
        ),
    }
)

Method = Callable[[Subscription, EventMetadata], Subscription]
METHODS: Final = MappingProxyType[str, Method](
    {
        "convert": lambda subscription, metadata: subscription.convert(MONTHLY, metadata),
        "renew": lambda subscription, metadata: subscription.renew(MONTHLY, metadata),
        "cancel_at_period_end": Subscription.cancel_at_period_end,
        "resume": Subscription.resume,
        "cancel_now": Subscription.cancel_now,
        "apply_expiry": Subscription.apply_expiry,
    }
)
ACTION_OF: Final = MappingProxyType({"convert": "activate"})
NOTHING: Final = ("as before", "")

# What is not in the table is rejected; `apply_expiry` is never rejected.
EXPECTED: Final = MappingProxyType(
    {
        ("convert", "trial"): ("active", "converted"),
        ("convert", "trial, cancel scheduled"): ("active", "converted"),
        ("renew", "active"): ("active", "renewed"),
        ("cancel_at_period_end", "trial"): ("trial", "cancel_scheduled"),
        ("cancel_at_period_end", "trial, cancel scheduled"): NOTHING,
        ("cancel_at_period_end", "active"): ("active", "cancel_scheduled"),
        ("cancel_at_period_end", "active, cancel scheduled"): NOTHING,
        ("resume", "trial, cancel scheduled"): ("trial", "resumed"),
        ("resume", "active, cancel scheduled"): ("active", "resumed"),
        ("cancel_now", "trial"): ("cancelled", "cancelled"),
        ("cancel_now", "trial, cancel scheduled"): ("cancelled", "cancelled"),
        ("cancel_now", "active"): ("cancelled", "cancelled"),
        ("cancel_now", "active, cancel scheduled"): ("cancelled", "cancelled"),
        ("cancel_now", "active for life"): ("cancelled", "cancelled"),
        ("apply_expiry", "trial, overdue"): ("expired", "expired"),
        ("apply_expiry", "trial, at its end"): ("expired", "expired"),
        ("apply_expiry", "trial, cancel scheduled, overdue"): ("cancelled", "cancelled"),
        ("apply_expiry", "active, overdue"): ("expired", "expired"),
        ("apply_expiry", "active, at its end"): ("expired", "expired"),
        ("apply_expiry", "active, cancel scheduled, overdue"): ("cancelled", "cancelled"),
    }
)
# The fields that each method may touch, besides version, changed_at and events.
TOUCHES: Final = MappingProxyType(
    {
        "convert": {
            "status",
            "billing_anchor",
            "periods_paid",
            "converted_at",
            "trial_ends_at",
            "ends_at",
            "cancel_at",
        },
        "renew": {"periods_paid", "ends_at"},
        "cancel_at_period_end": {"cancel_at"},
        "resume": {"cancel_at"},
        "cancel_now": {"status", "cancel_at", "cancelled_at", "ended_at"},
        "apply_expiry": {"status", "cancelled_at", "ended_at"},
    }
)


def as_loaded(subscription: Subscription) -> Subscription:
    """Return the subscription as a repository loads it: without events."""
    return replace(subscription, events=())


def copy_of(subscription: Subscription) -> Subscription:
    """Return another object with the same fields."""
    return Subscription(**{field.name: getattr(subscription, field.name) for field in fields(subscription)})


def changed_fields(before: Subscription, after: Subscription) -> set[str]:
    """Return the names of the fields whose values differ."""
    names = {field.name for field in fields(before)}
    return {name for name in names if getattr(before, name) != getattr(after, name)}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("method", METHODS)
def test_each_action_records_one_event_or_changes_nothing_or_is_rejected(method: str, situation: str) -> None:
    """The original value never changes."""
    build, now = SITUATIONS[situation]
    before = as_loaded(build())
    snapshot = copy_of(before)
    metadata = some_metadata(now, ADMIN)
    expected = EXPECTED.get((method, situation), NOTHING if method == "apply_expiry" else None)
    if expected is None:
        with pytest.raises(IllegalTransition) as refusal:
            METHODS[method](before, metadata)
        assert refusal.value.action == ACTION_OF.get(method, method)
        assert refusal.value.status == before.status_at(now)
    elif expected == NOTHING:
        assert METHODS[method](before, metadata) is before
    else:
        check_transition(method, before, METHODS[method](before, metadata), metadata, expected)
    assert before == snapshot


def check_transition(
    method: str, before: Subscription, after: Subscription, metadata: EventMetadata, expected: tuple[str, str]
) -> None:
    """Check that there is one new version, one event that describes it, and no change of other fields."""
    status, event_type = expected
    assert after.status == status
    assert after.version == before.version + 1
    assert changed_fields(before, after) <= TOUCHES[method] | {"version", "changed_at", "events"}
    (event,) = after.events
    assert event.type == f"subscription.{event_type}"
    assert isinstance(event.type, SubscriptionEventType)
    assert event.id == metadata.event_id
    assert (event.user_id, event.subject_id, event.version) == (after.user_id, after.id, after.version)
    if method == "apply_expiry":
        assert (event.occurred_at, event.recorded_at, event.actor) == (before.ends_at, metadata.at, SYSTEM)
    else:
        assert (event.occurred_at, event.recorded_at, event.actor) == (metadata.at, metadata.at, ADMIN)
    assert dict(event.data) == data_of(after)


def data_of(subscription: Subscription) -> dict[str, object]:
    """Return the data of the event: the state after it."""
    return {
        "plan_id": str(subscription.plan_id),
        "revision": subscription.revision,
        "status": subscription.status.value,
        "starts_at": rfc3339(subscription.starts_at),
        "ends_at": rfc3339(subscription.ends_at),
        "cancel_at": rfc3339(subscription.cancel_at),
        "ended_at": rfc3339(subscription.ended_at),
    }


def rfc3339(instant: datetime | None) -> str | None:
    """Return the instant with ``Z``, and with microseconds if it has any."""
    if instant is None:
        return None
    return instant.strftime("%Y-%m-%dT%H:%M:%S" + (".%f" if instant.microsecond else "") + "Z")


@pytest.mark.parametrize(
    ("build", "status", "event_type"),
    [(monthly_trial, "trial", "subscription.trial_started"), (monthly_active, "active", "subscription.activated")],
)
def test_a_new_subscription_has_version_1_and_one_event(
    build: Callable[[], Subscription], status: str, event_type: str
) -> None:
    """The actor of the event is the one who asked."""
    made = build()
    assert (made.status, made.version) == (status, 1)
    (event,) = made.events
    assert (event.type, event.version, event.occurred_at, event.actor.type) == (event_type, 1, START, ActorType.USER)
    assert dict(event.data) == data_of(made)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_status_shown_is_the_one_that_the_expiry_job_will_store(situation: str) -> None:
    """``as_of`` equals ``apply_expiry`` without its event, and both change nothing the second time."""
    build, now = SITUATIONS[situation]
    before = as_loaded(build())
    after = before.apply_expiry(some_metadata(now))
    seen = before.as_of(now)
    assert seen == as_loaded(after)
    assert seen.status == before.status_at(now) == after.status
    assert after.apply_expiry(some_metadata(now)) is after
    assert seen.as_of(now) is seen
    assert not seen.is_overdue(now)
    assert before.is_overdue(now) == (after is not before)
    assert seen.is_live == (seen.status in LIVE)
