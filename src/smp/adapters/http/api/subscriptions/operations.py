"""The operations on subscriptions."""

from __future__ import annotations

from typing import Final

from smp.adapters.http.api.subscriptions.schemas import (
    ActivateIn,
    CancelIn,
    EventsPage,
    RenewIn,
    StartTrialIn,
    SubscriptionOut,
    SubscriptionsPage,
)
from smp.adapters.http.operation import Operation
from smp.adapters.http.parameters import PAGING
from smp.adapters.http.wire import EmptyBody
from smp.application.commands.activate_subscription import ActivateSubscription
from smp.application.commands.cancel_subscription import CancelSubscription
from smp.application.commands.renew_subscription import RenewSubscription
from smp.application.commands.resume_subscription import ResumeSubscription
from smp.application.commands.start_trial import StartTrial
from smp.application.queries.get_current_subscription import GetCurrentSubscription
from smp.application.queries.get_subscription import GetSubscription
from smp.application.queries.list_subscription_events import ListSubscriptionEvents
from smp.application.queries.list_subscription_history import ListSubscriptionHistory
from smp.application.queries.list_subscriptions import ListSubscriptions

_TAG: Final = "subscriptions"
_PAYMENT: Final = ("payment-required", "payment-declined", "payment-unavailable")
_LIVE: Final = ("no-live-subscription", "precondition-failed", "illegal-transition")

# Those that SubscriptionController serves are written for the caller; TargetUser adapts them to a named user.

CURRENT: Final = Operation(
    id="getSubscription",
    tag=_TAG,
    summary="Get the live subscription",
    use_case=GetCurrentSubscription,
    response=SubscriptionOut,
    etag=True,
    problems=("no-live-subscription",),
)
START_TRIAL: Final = Operation(
    id="startTrial",
    tag=_TAG,
    summary="Start a trial",
    use_case=StartTrial,
    request=StartTrialIn,
    response=SubscriptionOut,
    status=201,
    etag=True,
    if_match=True,
    idempotent=True,
    problems=(
        "plan-not-found",
        "live-subscription-exists",
        "trial-already-used",
        "plan-has-no-trial",
        "plan-archived",
        "precondition-failed",
    ),
)
ACTIVATE: Final = Operation(
    id="activate",
    tag=_TAG,
    summary="Subscribe to a plan, or convert the trial",
    use_case=ActivateSubscription,
    request=ActivateIn,
    response=SubscriptionOut,
    status=201,
    also={200: "The running trial became this active subscription."},
    etag=True,
    if_match=True,
    idempotent=True,
    problems=("plan-not-found", "live-subscription-exists", "plan-archived", "precondition-failed", *_PAYMENT),
)
CANCEL: Final = Operation(
    id="cancel",
    tag=_TAG,
    summary="Cancel now or at the end of the period",
    use_case=CancelSubscription,
    request=CancelIn,
    request_optional=True,
    response=SubscriptionOut,
    etag=True,
    if_match=True,
    idempotent=True,
    problems=_LIVE,
)
RESUME: Final = Operation(
    id="resume",
    tag=_TAG,
    summary="Undo a scheduled cancellation",
    use_case=ResumeSubscription,
    request=EmptyBody,
    request_optional=True,
    response=SubscriptionOut,
    etag=True,
    if_match=True,
    idempotent=True,
    problems=_LIVE,
)
RENEW: Final = Operation(
    id="renew",
    tag=_TAG,
    summary="Renew for one more period",
    use_case=RenewSubscription,
    request=RenewIn,
    request_optional=True,
    response=SubscriptionOut,
    etag=True,
    if_match=True,
    idempotent=True,
    problems=(*_LIVE, *_PAYMENT),
)
HISTORY: Final = Operation(
    id="listSubscriptionHistory",
    tag=_TAG,
    summary="List all subscriptions of the user",
    use_case=ListSubscriptionHistory,
    response=SubscriptionsPage,
    query=PAGING,
)
GET: Final = Operation(
    id="getSubscriptionById",
    tag=_TAG,
    summary="Get a subscription by its id",
    use_case=GetSubscription,
    response=SubscriptionOut,
    etag=True,
    problems=("subscription-not-found",),
)
EVENTS: Final = Operation(
    id="listSubscriptionEvents",
    tag=_TAG,
    summary="List the events of a subscription",
    use_case=ListSubscriptionEvents,
    response=EventsPage,
    query=PAGING,
    problems=("subscription-not-found",),
)
LIST: Final = Operation(
    id="listSubscriptions",
    tag=_TAG,
    summary="List the subscriptions of all users",
    use_case=ListSubscriptions,
    response=SubscriptionsPage,
    query=("status", "plan", "user_id", "email", "ends_before", "ends_after", "ended_before", "ended_after", *PAGING),
    repeatable=("status",),
)
