"""Access decisions, above all at the boundaries of a subscription's span."""

from __future__ import annotations

from datetime import datetime

import pytest

from smp.domain.access import AccessDecision, EntitlementSnapshot, Reason, UserEntitlement, decide
from smp.domain.features import FeatureValue, features
from smp.domain.subscription.lifecycle import Status
from tests.support.builders import DURING, FIRST_END, LATER, TICK

FEATURES = features({"export": True, "seats": 5, "support": "priority", "sso": False, "quota": 0, "note": ""})


def snapshot(
    status: Status, ends_at: datetime | None = FIRST_END, cancel_at: datetime | None = None
) -> EntitlementSnapshot:
    """Return the snapshot of a subscriber of the plan ``pro``."""
    return EntitlementSnapshot(status, ends_at, cancel_at, "pro", FEATURES)


def test_a_user_who_never_subscribed_has_no_access() -> None:
    """The decision has no ``until``: time alone cannot change it."""
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
def test_a_live_subscriber_is_granted_the_features_of_the_plan_unless_their_value_is_false_or_zero(
    status: Status, feature: str, value: FeatureValue | None, *, allowed: bool
) -> None:
    """A trial gives the same access as a paid subscription. The decision shows the value in any case."""
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
def test_access_stops_exactly_at_the_end_of_the_subscription(
    now: datetime, written: Status, cancel_at: datetime | None, over: Status, reason: Reason
) -> None:
    """This holds before the expiry job has run, while the stored status is still live."""
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
def test_an_ended_subscription_never_gives_access(now: datetime, written: Status, reason: Reason) -> None:
    """This includes the time before the end that it would have had."""
    decision = decide(snapshot(written), "export", now)
    assert (decision.allowed, decision.reason, decision.status) == (False, reason, written)


def test_a_lifetime_subscription_gives_access_without_end() -> None:
    decision = decide(snapshot(Status.ACTIVE, None), "export", LATER)
    assert (decision.allowed, decision.until) == (True, None)


@pytest.mark.parametrize(
    ("stored", "status"),
    [(None, None), *((snapshot(status), status) for status in Status)],
)
def test_a_disabled_user_may_use_nothing_and_the_decision_shows_the_subscription(
    stored: EntitlementSnapshot | None, status: Status | None
) -> None:
    """Time alone cannot change it, and enabling the account gives back what the subscription gives."""
    plan = None if stored is None else "pro"
    assert UserEntitlement(disabled=True, snapshot=stored).decide("export", DURING) == AccessDecision(
        allowed=False, value=None, reason=Reason.USER_DISABLED, status=status, plan=plan, until=None
    )
    assert UserEntitlement(disabled=False, snapshot=stored).decide("export", DURING) == decide(stored, "export", DURING)
