"""The question that everything is for: may this user use this feature now?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from smp.domain.features import Features, FeatureValue, grants
from smp.domain.subscription.lifecycle import Status, access_ends_at, status_at


class Reason(StrEnum):
    """Why access is given or refused."""

    GRANTED = "granted"
    FEATURE_NOT_IN_PLAN = "feature_not_in_plan"
    NO_SUBSCRIPTION = "no_subscription"
    SUBSCRIPTION_EXPIRED = "subscription_expired"
    SUBSCRIPTION_CANCELLED = "subscription_cancelled"


@dataclass(frozen=True, slots=True)
class EntitlementSnapshot:
    """What a decision needs to know of a user's newest subscription, as it was written."""

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
class AccessDecision:
    """The answer; it can change by time alone at ``until`` and not before (``None``: never by time)."""

    allowed: bool
    value: FeatureValue | None
    reason: Reason
    status: Status | None
    plan: str | None
    until: datetime | None


def decide(standing: EntitlementSnapshot | None, feature: str, now: datetime) -> AccessDecision:
    """Whether a user of this standing may use ``feature`` at ``now``; without a live subscription nobody may."""
    if standing is None:
        return _denied(Reason.NO_SUBSCRIPTION, None, None)
    status = standing.status_at(now)
    if status is Status.EXPIRED:
        return _denied(Reason.SUBSCRIPTION_EXPIRED, status, standing.plan)
    if status is Status.CANCELLED:
        return _denied(Reason.SUBSCRIPTION_CANCELLED, status, standing.plan)
    value = standing.features.get(feature)
    allowed = grants(value)
    reason = Reason.GRANTED if allowed else Reason.FEATURE_NOT_IN_PLAN
    return AccessDecision(allowed, value, reason, status, standing.plan, standing.access_ends_at)


def _denied(reason: Reason, status: Status | None, plan: str | None) -> AccessDecision:
    return AccessDecision(allowed=False, value=None, reason=reason, status=status, plan=plan, until=None)
