"""Wire types of access."""

from __future__ import annotations

from typing import Annotated

import msgspec

from smp.adapters.http.wire import Features, Id, Instant, ResponseModel
from smp.application.queries.views import AccessView
from smp.domain.access import AccessDecision, Reason
from smp.domain.features import FeatureValue
from smp.domain.subscription.lifecycle import Status

StatusOut = Annotated[
    Status | None, msgspec.Meta(description="The status of the newest subscription; `null` without one.")
]
PlanCodeOut = Annotated[
    str | None,
    msgspec.Meta(description="The code of the newest subscription's plan; `null` without one.", examples=["pro"]),
]
UntilOut = Annotated[
    Instant | None,
    msgspec.Meta(
        description="When time alone can change this response; `null` if it cannot. A command can change it earlier.",
        examples=["2027-01-31T12:00:00Z"],
    ),
]


class AccessOut(ResponseModel, frozen=True):
    """Whether the user may use a feature, and why."""

    feature: Annotated[str, msgspec.Meta(examples=["seats"])]
    allowed: bool
    value: Annotated[
        FeatureValue | None, msgspec.Meta(description="The value in the plan; `null` if denied.", examples=[5])
    ]
    reason: Annotated[Reason, msgspec.Meta(examples=[Reason.GRANTED.value])]
    status: StatusOut
    plan: PlanCodeOut
    until: UntilOut

    @classmethod
    def of(cls, feature: str, decision: AccessDecision) -> AccessOut:
        """The decision as it is written."""
        return cls(
            feature,
            decision.allowed,
            decision.value,
            decision.reason,
            decision.status,
            decision.plan,
            decision.until,
        )


class AllAccessOut(ResponseModel, frozen=True):
    """All features that the user may use; none for a disabled user or without a live subscription."""

    user_id: Id
    status: StatusOut
    plan: PlanCodeOut
    features: Features
    until: UntilOut
    disabled: Annotated[bool, msgspec.Meta(description="Whether the user is disabled.", examples=[False])]

    @classmethod
    def of(cls, view: AccessView) -> AllAccessOut:
        """The access as it is written."""
        return cls(view.user_id, view.status, view.plan, dict(view.features), view.until, view.disabled)
