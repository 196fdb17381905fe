"""Access decisions, against a model that uses the span only."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from smp.domain.access import EntitlementSnapshot, Reason, decide
from smp.domain.features import Features, FeatureValue
from smp.domain.subscription.lifecycle import Status
from tests.property.strategies import feature_keys, feature_maps, instants
from tests.support.builders import TICK

around = st.sampled_from([-TICK, timedelta(0), TICK]) | st.timedeltas(timedelta(days=-400), timedelta(days=400))


def gives_access(value: FeatureValue | None) -> bool:
    """Return whether the value is present and neither ``false`` nor 0, distinguished by type."""
    if value is None or value is False:
        return False
    return type(value) is not int or value > 0


@given(
    written=st.sampled_from(Status),
    ends_at=st.none() | instants,
    is_scheduled=st.booleans(),
    values=feature_maps,
    feature=feature_keys,
    step=around,
    anyway=instants,
)
def test_a_subscription_gives_access_from_its_start_until_its_end_only(
    *,
    written: Status,
    ends_at: datetime | None,
    is_scheduled: bool,
    values: Features,
    feature: str,
    step: timedelta,
    anyway: datetime,
) -> None:
    """It is live until the tick before ``ends_at`` and over from then on; the reason is how it ended."""
    now = anyway if ends_at is None else ends_at + step
    decision = decide(
        EntitlementSnapshot(written, ends_at, ends_at if is_scheduled else None, "pro", values), feature, now
    )
    is_in_span = ends_at is None or now < ends_at
    is_live = written in {Status.TRIAL, Status.ACTIVE} and is_in_span
    assert decision.allowed == (is_live and gives_access(values.get(feature)))
    assert decision.allowed == (decision.reason is Reason.GRANTED)
    assert decision.plan == "pro"
    if is_live:
        assert (decision.status, decision.until, decision.value) == (written, ends_at, values.get(feature))
        assert decision.reason in {Reason.GRANTED, Reason.FEATURE_NOT_IN_PLAN}
    else:
        was_live = written in {Status.TRIAL, Status.ACTIVE}
        is_cancelled = is_scheduled if was_live else written is Status.CANCELLED
        assert (decision.until, decision.value) == (None, None)
        assert decision.status is (Status.CANCELLED if is_cancelled else Status.EXPIRED)
        assert decision.reason is (Reason.SUBSCRIPTION_CANCELLED if is_cancelled else Reason.SUBSCRIPTION_EXPIRED)


@given(st.sampled_from(Status), st.none() | instants, st.booleans(), feature_maps, feature_keys, st.lists(instants))
def test_an_access_decision_stays_valid_exactly_until_its_until(
    written: Status,
    ends_at: datetime | None,
    is_scheduled: bool,  # noqa: FBT001 - drawn
    values: Features,
    feature: str,
    others: list[datetime],
) -> None:
    """A caller may cache a decision until then, and no longer."""
    snapshot = EntitlementSnapshot(written, ends_at, ends_at if is_scheduled else None, "pro", values)
    for asked in others:
        decision = decide(snapshot, feature, asked)
        for later in others:
            if asked <= later and (decision.until is None or later < decision.until):
                assert decide(snapshot, feature, later) == decision
        if decision.until is not None:
            assert decide(snapshot, feature, decision.until).status is not decision.status
