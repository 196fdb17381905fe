"""What commands' outcomes are answered with: one function for each kind of thing."""

from __future__ import annotations

import msgspec

from smp.adapters.http.api.auth.schemas import UserOut
from smp.adapters.http.api.plans.schemas import PlanOut
from smp.adapters.http.api.preconditions import body_tag, version_tag
from smp.adapters.http.api.subscriptions.schemas import SubscriptionOut
from smp.adapters.http.rendered import REPLAYED, RenderedResponse
from smp.adapters.http.wire import ResponseModel
from smp.application.outcomes import PlanOutcome, SubscriptionOutcome, UserOutcome


def user_answer(outcome: UserOutcome) -> RenderedResponse:
    """Return the response with the user; 201 with its location if it was created."""
    place = f"/v1/users/{outcome.user.id}" if outcome.created else None
    return _answer(outcome, UserOut.of(outcome.user), place)


def plan_answer(outcome: PlanOutcome) -> RenderedResponse:
    """Return the response with the plan and its ETag; 201 with its location if it was created."""
    place = f"/v1/plans/{outcome.plan.code}" if outcome.created else None
    return _answer(outcome, PlanOut.of(outcome.plan), place, version_tag(outcome.plan.version))


def subscription_answer(outcome: SubscriptionOutcome) -> RenderedResponse:
    """Return the response with the subscription and its ETag; 201 with its location if it was created."""
    place = f"/v1/subscriptions/{outcome.subscription.id}" if outcome.created else None
    document = SubscriptionOut.of(outcome.subscription)
    return _answer(outcome, document, place, body_tag(document.version, document))


def _answer(
    outcome: UserOutcome | PlanOutcome | SubscriptionOutcome,
    document: ResponseModel,
    place: str | None,
    tag: str | None = None,
) -> RenderedResponse:
    headers = {"content-type": "application/json"}
    if place is not None:
        headers["location"] = place
    if tag is not None:
        headers["etag"] = tag
    if outcome.replayed:
        headers |= REPLAYED
    return RenderedResponse(200 if place is None else 201, headers, msgspec.json.encode(document))
