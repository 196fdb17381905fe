"""Wire types of subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from smp.adapters.http.wire import MoneyOut, RequestModel, ResponseModel
from smp.application.commands.cancel_subscription import CancelAt
from smp.application.queries.views import EventView, SubscriptionView
from smp.domain.features import FeatureValue

PlanText = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=100, pattern=r"^[^\x00]*\Z", description="a plan's code or id", examples=["pro"]
    ),
]
PaymentMethod = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=200, pattern=r"^[^\x00]*\Z", description="a payment method", examples=["sim_ok"]
    ),
]


class StartTrialIn(RequestModel, frozen=True):
    """The plan to try."""

    plan: PlanText


class ActivateIn(RequestModel, frozen=True):
    """The plan to subscribe to, and how to pay."""

    plan: PlanText
    payment_method: PaymentMethod | None = None


class RenewIn(RequestModel, frozen=True):
    """How to pay for one more period."""

    payment_method: PaymentMethod | None = None


class CancelIn(RequestModel, frozen=True):
    """When to end it."""

    at: CancelAt = CancelAt.NOW


class PlanReferenceOut(ResponseModel, frozen=True):
    """The plan and the revision that a subscription is bound to."""

    id: UUID
    code: str
    name: str
    revision: int


class SubscriptionOut(ResponseModel, frozen=True):
    """A subscription as of now."""

    id: UUID
    user_id: UUID
    plan: PlanReferenceOut
    status: str
    price: MoneyOut
    features: Mapping[str, FeatureValue]
    trial_ends_at: datetime | None
    starts_at: datetime
    ends_at: datetime | None
    cancel_at: datetime | None
    cancelled_at: datetime | None
    ended_at: datetime | None
    version: int
    created_at: datetime

    @classmethod
    def of(cls, view: SubscriptionView) -> SubscriptionOut:
        """The subscription as it is written."""
        return cls(
            view.id,
            view.user_id,
            PlanReferenceOut(view.plan.id, view.plan.code, view.plan.name, view.plan.revision),
            view.status.value,
            MoneyOut.of(view.price),
            dict(view.features),
            view.trial_ends_at,
            view.starts_at,
            view.ends_at,
            view.cancel_at,
            view.cancelled_at,
            view.ended_at,
            view.version,
            view.created_at,
        )


class ActorOut(ResponseModel, frozen=True):
    """Who did it; the system has no id."""

    type: str
    id: UUID | None


class EventOut(ResponseModel, frozen=True):
    """One event of a subscription; ``version`` is the subscription's version after it."""

    id: UUID
    type: str
    occurred_at: datetime
    actor: ActorOut
    subscription_id: UUID
    user_id: UUID
    data: Mapping[str, Any]
    version: int

    @classmethod
    def of(cls, event: EventView) -> EventOut:
        """The event as it is written."""
        return cls(
            event.id,
            event.type,
            event.occurred_at,
            ActorOut(event.actor.type.value, event.actor.id),
            event.subscription_id,
            event.user_id,
            dict(event.data),
            event.version,
        )


class SubscriptionsPage(ResponseModel, frozen=True):
    """A page of subscriptions."""

    items: list[SubscriptionOut]
    next_cursor: str | None


class EventsPage(ResponseModel, frozen=True):
    """A page of events."""

    items: list[EventOut]
    next_cursor: str | None
