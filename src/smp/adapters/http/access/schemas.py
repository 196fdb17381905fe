"""Wire types of access."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from smp.adapters.http.wire import ResponseModel
from smp.application.queries.views import AccessView
from smp.domain.access import AccessDecision
from smp.domain.features import FeatureValue


class AccessOut(ResponseModel, frozen=True):
    """Whether a feature may be used; time alone can change it at ``until`` and not before."""

    feature: str
    allowed: bool
    value: FeatureValue | None
    reason: str
    status: str | None
    plan: str | None
    until: datetime | None

    @classmethod
    def of(cls, feature: str, decision: AccessDecision) -> AccessOut:
        """The decision as it is written."""
        return cls(
            feature,
            decision.allowed,
            decision.value,
            decision.reason.value,
            None if decision.status is None else decision.status.value,
            decision.plan,
            decision.until,
        )


class AllAccessOut(ResponseModel, frozen=True):
    """Everything that may be used; empty for a disabled user, and where nothing is live."""

    user_id: UUID
    status: str | None
    plan: str | None
    features: Mapping[str, FeatureValue]
    until: datetime | None
    disabled: bool

    @classmethod
    def of(cls, view: AccessView) -> AllAccessOut:
        """The access as it is written."""
        status = None if view.status is None else view.status.value
        return cls(view.user_id, status, view.plan, dict(view.features), view.until, view.disabled)
