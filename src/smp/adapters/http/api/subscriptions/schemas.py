"""Wire types of subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from smp.adapters.http.wire import Cursor, Features, Id, Instant, MoneyOut, RequestModel, ResponseModel, Version
from smp.application.commands.cancel_subscription import CancelAt
from smp.application.queries.views import EventView, SubscriptionView
from smp.domain.events import ActorType
from smp.domain.subscription.lifecycle import Status, SubscriptionEventType

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
    """The plan to subscribe to, and how to pay; a free plan needs no payment method."""

    plan: PlanText
    payment_method: PaymentMethod | None = None


class RenewIn(RequestModel, frozen=True):
    """How to pay for one more period."""

    payment_method: PaymentMethod | None = None


class CancelIn(RequestModel, frozen=True):
    """When the subscription ends: `now`, or at the end of its period."""

    at: Annotated[CancelAt, msgspec.Meta(examples=[CancelAt.PERIOD_END.value])] = CancelAt.NOW


class PlanReferenceOut(ResponseModel, frozen=True):
    """The plan and the revision that a subscription is bound to."""

    id: Id
    code: Annotated[str, msgspec.Meta(examples=["pro"])]
    name: Annotated[str, msgspec.Meta(examples=["Pro"])]
    revision: Version


class SubscriptionOut(ResponseModel, frozen=True):
    """A subscription as of now."""

    id: Id
    user_id: Id
    plan: PlanReferenceOut
    status: Status
    price: MoneyOut
    features: Features
    trial_ends_at: Annotated[
        Instant | None,
        msgspec.Meta(description="The end of the trial; `null` without one.", examples=["2027-01-31T12:00:00Z"]),
    ]
    starts_at: Annotated[Instant, msgspec.Meta(examples=["2027-01-17T12:00:00Z"])]
    ends_at: Annotated[
        Instant | None,
        msgspec.Meta(
            description="The end of the trial or the paid period; `null` if it never ends.",
            examples=["2027-01-31T12:00:00Z"],
        ),
    ]
    cancel_at: Annotated[
        Instant | None,
        msgspec.Meta(description="When a scheduled cancellation takes effect; `null` without one.", examples=[None]),
    ]
    cancelled_at: Annotated[
        Instant | None, msgspec.Meta(description="When somebody cancelled; `null` before.", examples=[None])
    ]
    ended_at: Annotated[
        Instant | None, msgspec.Meta(description="When the subscription ended; `null` before.", examples=[None])
    ]
    version: Version
    created_at: Annotated[Instant, msgspec.Meta(examples=["2027-01-17T12:00:00Z"])]

    @classmethod
    def of(cls, view: SubscriptionView) -> SubscriptionOut:
        """The subscription as it is written."""
        return cls(
            view.id,
            view.user_id,
            PlanReferenceOut(view.plan.id, view.plan.code, view.plan.name, view.plan.revision),
            view.status,
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
    """Who made the change; the system has no id."""

    type: ActorType
    id: Id | None


class EventOut(ResponseModel, frozen=True):
    """One event of a subscription; `version` is the subscription's version after it."""

    id: Id
    # A text: after a rollback the program may read events of types that it does not have.
    type: Annotated[str, msgspec.Meta(extra_json_schema={"enum": [type_.value for type_ in SubscriptionEventType]})]
    occurred_at: Instant
    actor: ActorOut
    subscription_id: Id
    user_id: Id
    data: Annotated[
        Mapping[str, Any],
        msgspec.Meta(
            description="The facts of the change, by the type of the event.",
            examples=[{"plan": "pro", "ends_at": "2027-01-31T12:00:00Z"}],
        ),
    ]
    version: Version

    @classmethod
    def of(cls, event: EventView) -> EventOut:
        """The event as it is written."""
        return cls(
            event.id,
            event.type,
            event.occurred_at,
            ActorOut(event.actor.type, event.actor.id),
            event.subscription_id,
            event.user_id,
            dict(event.data),
            event.version,
        )


class SubscriptionsPage(ResponseModel, frozen=True):
    """A page of subscriptions."""

    items: list[SubscriptionOut]
    next_cursor: Cursor


class EventsPage(ResponseModel, frozen=True):
    """A page of events."""

    items: list[EventOut]
    next_cursor: Cursor
