"""The access decision: whether a user may use a feature now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from smp.domain.features import Features, FeatureValue, grants
from smp.domain.subscription.lifecycle import Status, access_ends_at, status_at


class Reason(StrEnum):
    """The reasons why access is given or refused."""

    GRANTED = "granted"
    FEATURE_NOT_IN_PLAN = "feature_not_in_plan"
    NO_SUBSCRIPTION = "no_subscription"
    SUBSCRIPTION_EXPIRED = "subscription_expired"
    SUBSCRIPTION_CANCELLED = "subscription_cancelled"
    USER_DISABLED = "user_disabled"


@dataclass(frozen=True, slots=True)
class EntitlementSnapshot:
    """The part of a user's live, else newest, subscription that an access decision needs, as it is stored."""

    status: Status
    ends_at: datetime | None
    cancel_at: datetime | None
    plan: str
    features: Features

    def status_at(self, now: datetime) -> Status:
        """Return the status that holds at ``now``."""
        return status_at(self, now)

    @property
    def access_ends_at(self) -> datetime | None:
        """The instant at which access ends by time alone."""
        return access_ends_at(self)


@dataclass(frozen=True, slots=True)
class UserEntitlement:
    """An account's switch, and the snapshot of its subscription; ``None`` for a user who never subscribed."""

    disabled: bool
    snapshot: EntitlementSnapshot | None

    def decide(self, feature: str, now: datetime) -> AccessDecision:
        """Decide whether the user may use ``feature`` at ``now``; a disabled user may use nothing."""
        decision = decide(self.snapshot, feature, now)
        return _denied(Reason.USER_DISABLED, decision.status, decision.plan) if self.disabled else decision


@dataclass(frozen=True, slots=True)
class AccessDecision:
    """The answer to whether a user may use a feature.

    ``until`` is the next instant at which time alone can change the answer; ``None`` if there is none.
    """

    allowed: bool
    value: FeatureValue | None
    reason: Reason
    status: Status | None
    plan: str | None
    until: datetime | None


def decide(snapshot: EntitlementSnapshot | None, feature: str, now: datetime) -> AccessDecision:
    """Decide whether the user may use ``feature`` at ``now``; ``snapshot`` is ``None`` for a user who never subscribed.

    Only a live subscription gives access.
    """
    if snapshot is None:
        return _denied(Reason.NO_SUBSCRIPTION, None, None)
    status = snapshot.status_at(now)
    if status is Status.EXPIRED:
        return _denied(Reason.SUBSCRIPTION_EXPIRED, status, snapshot.plan)
    if status is Status.CANCELLED:
        return _denied(Reason.SUBSCRIPTION_CANCELLED, status, snapshot.plan)
    value = snapshot.features.get(feature)
    allowed = grants(value)
    reason = Reason.GRANTED if allowed else Reason.FEATURE_NOT_IN_PLAN
    return AccessDecision(allowed, value, reason, status, snapshot.plan, snapshot.access_ends_at)


def _denied(reason: Reason, status: Status | None, plan: str | None) -> AccessDecision:
    return AccessDecision(allowed=False, value=None, reason=reason, status=status, plan=plan, until=None)
