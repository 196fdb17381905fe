"""What commands' outcomes are answered with: one function for each kind of thing."""

from __future__ import annotations

import msgspec

from smp.adapters.http.api.auth.schemas import UserOut
from smp.adapters.http.api.plans.schemas import PlanOut
from smp.adapters.http.api.preconditions import etag
from smp.adapters.http.api.subscriptions.schemas import SubscriptionOut
from smp.adapters.http.wire import ResponseModel
from smp.application.idempotency import StoredResponse
from smp.application.outcomes import PlanOutcome, SubscriptionOutcome, UserOutcome


def user_answer(outcome: UserOutcome) -> StoredResponse:
    """The user; 201 with its place where it is new."""
    place = f"/v1/users/{outcome.user.id}" if outcome.created else None
    return _answer(UserOut.of(outcome.user), place)


def plan_answer(outcome: PlanOutcome) -> StoredResponse:
    """The plan with its ETag; 201 with its place where it is new."""
    place = f"/v1/plans/{outcome.plan.code}" if outcome.created else None
    return _answer(PlanOut.of(outcome.plan), place, outcome.plan.version)


def subscription_answer(outcome: SubscriptionOutcome) -> StoredResponse:
    """The subscription with its ETag; 201 with its place where it is new."""
    place = f"/v1/subscriptions/{outcome.subscription.id}" if outcome.created else None
    return _answer(SubscriptionOut.of(outcome.subscription), place, outcome.subscription.version)


def _answer(document: ResponseModel, place: str | None, version: int | None = None) -> StoredResponse:
    headers = {"content-type": "application/json"}
    if place is not None:
        headers["location"] = place
    if version is not None:
        headers["etag"] = etag(version)
    return StoredResponse(200 if place is None else 201, headers, msgspec.json.encode(document))
