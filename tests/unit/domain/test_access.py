"""Access decisions, above all at the edges of a span."""

from __future__ import annotations

from datetime import datetime

import pytest

from smp.domain.access import AccessDecision, EntitlementSnapshot, Reason, decide
from smp.domain.features import FeatureValue, features
from smp.domain.subscription.lifecycle import Status
from tests.support.builders import DURING, FIRST_END, LATER, TICK

FEATURES = features({"export": True, "seats": 5, "support": "priority", "sso": False, "quota": 0, "note": ""})


def snapshot(
    status: Status, ends_at: datetime | None = FIRST_END, cancel_at: datetime | None = None
) -> EntitlementSnapshot:
    """Of a subscriber of the plan ``pro``."""
    return EntitlementSnapshot(status, ends_at, cancel_at, "pro", FEATURES)


def test_who_never_subscribed() -> None:
    """Nothing is allowed, and time alone will not change it."""
    assert decide(None, "export", DURING) == AccessDecision(
        allowed=False, value=None, reason=Reason.NO_SUBSCRIPTION, status=None, plan=None, until=None
    )


@pytest.mark.parametrize("status", [Status.TRIAL, Status.ACTIVE])
@pytest.mark.parametrize(
    ("feature", "value", "allowed"),
    [
        ("export", True, True),
        ("seats", 5, True),
        ("support", "priority", True),
        ("note", "", True),
        ("sso", False, False),
        ("quota", 0, False),
        ("absent", None, False),
    ],
)
def test_live_subscribers(status: Status, feature: str, value: FeatureValue | None, *, allowed: bool) -> None:
    """A trial gives what a paid subscription gives; a value of false or 0 is told and denied."""
    assert decide(snapshot(status), feature, DURING) == AccessDecision(
        allowed=allowed,
        value=value,
        reason=Reason.GRANTED if allowed else Reason.FEATURE_NOT_IN_PLAN,
        status=status,
        plan="pro",
        until=FIRST_END,
    )


@pytest.mark.parametrize(
    ("cancel_at", "over", "reason"),
    [
        (None, Status.EXPIRED, Reason.SUBSCRIPTION_EXPIRED),
        (FIRST_END, Status.CANCELLED, Reason.SUBSCRIPTION_CANCELLED),
    ],
)
@pytest.mark.parametrize("written", [Status.TRIAL, Status.ACTIVE])
@pytest.mark.parametrize("now", [FIRST_END, FIRST_END + TICK, LATER])
def test_at_ends_at_exactly_it_is_over(
    now: datetime, written: Status, cancel_at: datetime | None, over: Status, reason: Reason
) -> None:
    """Even before the expiry job has run, when the written status is still live."""
    assert decide(snapshot(written, cancel_at=cancel_at), "export", now) == AccessDecision(
        allowed=False, value=None, reason=reason, status=over, plan="pro", until=None
    )
    before = decide(snapshot(written, cancel_at=cancel_at), "export", FIRST_END - TICK)
    assert (before.allowed, before.status, before.until) == (True, written, FIRST_END)


@pytest.mark.parametrize("now", [DURING, FIRST_END - TICK, FIRST_END, LATER])
@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (Status.EXPIRED, Reason.SUBSCRIPTION_EXPIRED),
        (Status.CANCELLED, Reason.SUBSCRIPTION_CANCELLED),
    ],
)
def test_what_was_ended_gives_nothing_at_any_instant(now: datetime, written: Status, reason: Reason) -> None:
    """Also before the end that it would have had."""
    decision = decide(snapshot(written), "export", now)
    assert (decision.allowed, decision.reason, decision.status) == (False, reason, written)


def test_for_life() -> None:
    """There is no instant at which it stops."""
    decision = decide(snapshot(Status.ACTIVE, None), "export", LATER)
    assert (decision.allowed, decision.until) == (True, None)
