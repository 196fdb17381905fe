"""Subscriptions: one's own, a user's for administrators, and the list of all."""

from __future__ import annotations

from typing import Annotated, Any

from dishka.integrations.litestar import FromDishka
from litestar import get, post
from litestar.connection import Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Response

from smp.adapters.http.api import cursors
from smp.adapters.http.api.answers import subscription_answer
from smp.adapters.http.api.conditional import one
from smp.adapters.http.api.preconditions import expected
from smp.adapters.http.api.subjects import ME, USER, Subject
from smp.adapters.http.api.subscriptions.schemas import (
    ActivateIn,
    CancelIn,
    EventOut,
    EventsPage,
    RenewIn,
    StartTrialIn,
    SubscriptionOut,
    SubscriptionsPage,
)
from smp.adapters.http.authentication import Who, caller_of
from smp.adapters.http.idempotency import IdempotencyKeys
from smp.adapters.http.parameters import (
    LIMIT,
    PAGING,
    AwareDatetime,
    CursorParameter,
    LimitParameter,
    PositionInteger,
    bad_parameter,
    instant,
    uuid_or_none,
)
from smp.adapters.http.rendered import respond
from smp.adapters.http.wire import EmptyBody
from smp.application.commands.activate_subscription import ActivateSubscription
from smp.application.commands.cancel_subscription import CancelSubscription
from smp.application.commands.renew_subscription import RenewSubscription
from smp.application.commands.resume_subscription import ResumeSubscription
from smp.application.commands.start_trial import StartTrial
from smp.application.execution import Handler
from smp.application.outcomes import SubscriptionOutcome
from smp.application.paging import Page, PageRequest
from smp.application.ports.subscription_reader import (
    EventPosition,
    HistoryPosition,
    SubscriptionFilter,
    SubscriptionPosition,
)
from smp.application.preconditions import VersionPrecondition
from smp.application.queries.get_current_subscription import GetCurrentSubscription
from smp.application.queries.get_subscription import GetSubscription
from smp.application.queries.list_subscription_events import ListSubscriptionEvents
from smp.application.queries.list_subscription_history import ListSubscriptionHistory
from smp.application.queries.list_subscriptions import ListSubscriptions
from smp.application.queries.views import EventView, SubscriptionView
from smp.domain.errors import SubscriptionNotFound
from smp.domain.subscription.lifecycle import Status

# What an empty body says.
_CANCEL_NOW, _RESUME, _RENEW = CancelIn(), EmptyBody(), RenewIn()

_PAYMENT = ("payment-required", "payment-declined", "payment-unavailable")
_LIVE = ("no-live-subscription", "precondition-failed", "illegal-transition")


def _options(subject: Subject, *problems: str) -> dict[str, Any]:
    return {
        "who": subject.who,
        "problems": (*problems, *subject.problems),
        "answers": SubscriptionOut,
        "etag": True,
    }


def of_subject(subject: Subject) -> list[HTTPRouteHandler]:
    """The routes of one user's subscription, for this way of naming the user."""
    base, suffix = f"{subject.base}/subscription", subject.suffix

    @get(
        base,
        operation_id=f"getSubscription{suffix}",
        tags=["subscriptions"],
        summary="The live subscription",
        opt=_options(subject, "no-live-subscription"),
    )
    async def current(
        request: Request[Any, Any, Any], handler: FromDishka[Handler[GetCurrentSubscription, SubscriptionView]]
    ) -> Response[bytes]:
        """The trial or active subscription at this instant."""
        view = await handler(GetCurrentSubscription(subject.user_id(request)), caller_of(request))
        return one(request, SubscriptionOut.of(view), view.version)

    @post(
        f"{base}/trial",
        operation_id=f"startTrial{suffix}",
        tags=["subscriptions"],
        summary="Try a plan",
        opt=_options(
            subject,
            "plan-not-found",
            "live-subscription-exists",
            "trial-already-used",
            "plan-has-no-trial",
            "plan-archived",
            "precondition-failed",
        ),
    )
    async def trial(
        request: Request[Any, Any, Any],
        data: JSONBody[StartTrialIn],
        handler: FromDishka[Handler[StartTrial, SubscriptionOutcome]],
        keys: FromDishka[IdempotencyKeys],
    ) -> Response[bytes]:
        """Start the plan's trial; once per user and plan, ever."""
        caller, user_id, wanted = caller_of(request), subject.user_id(request), _expected(request)
        key = await keys.of(request, caller)
        return respond(subscription_answer(await handler(StartTrial(user_id, data.plan, wanted, key), caller)))

    @post(
        f"{base}/activate",
        operation_id=f"activate{suffix}",
        tags=["subscriptions"],
        summary="Subscribe, or convert the trial",
        opt=_options(
            subject,
            "plan-not-found",
            "live-subscription-exists",
            "plan-archived",
            "precondition-failed",
            *_PAYMENT,
        )
        | {"also": {200: "The trial is converted."}},
    )
    async def activate(
        request: Request[Any, Any, Any],
        data: JSONBody[ActivateIn],
        handler: FromDishka[Handler[ActivateSubscription, SubscriptionOutcome]],
        keys: FromDishka[IdempotencyKeys],
    ) -> Response[bytes]:
        """A new subscription (201), or the running trial converted (200), also to another plan."""
        caller, user_id, wanted = caller_of(request), subject.user_id(request), _expected(request)
        key = await keys.of(request, caller)
        return respond(
            subscription_answer(
                await handler(ActivateSubscription(user_id, data.plan, data.payment_method, wanted, key), caller)
            )
        )

    @post(
        f"{base}/cancel",
        status_code=200,
        operation_id=f"cancel{suffix}",
        tags=["subscriptions"],
        summary="Cancel now or at the period's end",
        opt=_options(subject, *_LIVE),
    )
    async def cancel(
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[CancelSubscription, SubscriptionOutcome]],
        keys: FromDishka[IdempotencyKeys],
        data: JSONBody[CancelIn] = _CANCEL_NOW,
    ) -> Response[bytes]:
        """Now is final; at the period's end it gives access until then and can be resumed."""
        caller, user_id, wanted = caller_of(request), subject.user_id(request), _expected(request)
        at = data.at
        key = await keys.of(request, caller)
        return respond(subscription_answer(await handler(CancelSubscription(user_id, at, wanted, key), caller)))

    @post(
        f"{base}/resume",
        status_code=200,
        operation_id=f"resume{suffix}",
        tags=["subscriptions"],
        summary="Undo a scheduled cancellation",
        opt=_options(subject, *_LIVE),
    )
    async def resume(
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[ResumeSubscription, SubscriptionOutcome]],
        keys: FromDishka[IdempotencyKeys],
        data: JSONBody[EmptyBody] = _RESUME,  # noqa: ARG001 - a body, where there is one, must be empty
    ) -> Response[bytes]:
        """Only before the end: what is over is over."""
        caller, user_id, wanted = caller_of(request), subject.user_id(request), _expected(request)
        key = await keys.of(request, caller)
        return respond(subscription_answer(await handler(ResumeSubscription(user_id, wanted, key), caller)))

    @post(
        f"{base}/renew",
        status_code=200,
        operation_id=f"renew{suffix}",
        tags=["subscriptions"],
        summary="Pay for one more period",
        opt=_options(subject, *_LIVE, *_PAYMENT),
    )
    async def renew(
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[RenewSubscription, SubscriptionOutcome]],
        keys: FromDishka[IdempotencyKeys],
        data: JSONBody[RenewIn] = _RENEW,
    ) -> Response[bytes]:
        """One period is added to the end, at the price of the revision that it is bound to."""
        caller, user_id, wanted = caller_of(request), subject.user_id(request), _expected(request)
        method = data.payment_method
        key = await keys.of(request, caller)
        return respond(subscription_answer(await handler(RenewSubscription(user_id, method, wanted, key), caller)))

    @get(
        f"{subject.base}/subscriptions",
        operation_id=f"listSubscriptionHistory{suffix}",
        tags=["subscriptions"],
        summary="All subscriptions ever",
        opt={"who": subject.who, "query": PAGING, "problems": subject.problems},
    )
    async def history(
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[ListSubscriptionHistory, Page[SubscriptionView, HistoryPosition]]],
        limit: LimitParameter = LIMIT,
        cursor: CursorParameter = None,
    ) -> SubscriptionsPage:
        """Newest first."""
        after = cursors.decode("history", cursor, tuple[AwareDatetime, cursors.Id])
        query = ListSubscriptionHistory(subject.user_id(request), PageRequest(limit, after))
        page = await handler(query, caller_of(request))
        items = [SubscriptionOut.of(item) for item in page.items]
        return SubscriptionsPage(items, cursors.encode("history", page.next))

    return [current, trial, activate, cancel, resume, renew, history]


@get(
    "/v1/subscriptions/{subscription_id:str}",
    operation_id="getSubscriptionById",
    tags=["subscriptions"],
    summary="Look at one subscription",
    opt={"who": Who.SESSION, "problems": ("subscription-not-found",), "answers": SubscriptionOut, "etag": True},
)
async def get_subscription(
    request: Request[Any, Any, Any],
    subscription_id: FromPath[str],
    handler: FromDishka[Handler[GetSubscription, SubscriptionView]],
) -> Response[bytes]:
    """As of now; for the owner and for administrators."""
    view = await handler(GetSubscription(_subscription_id(subscription_id)), caller_of(request))
    return one(request, SubscriptionOut.of(view), view.version)


@get(
    "/v1/subscriptions/{subscription_id:str}/events",
    operation_id="listSubscriptionEvents",
    tags=["subscriptions"],
    summary="What happened to a subscription",
    opt={"who": Who.SESSION, "query": PAGING, "problems": ("subscription-not-found",)},
)
async def list_events(
    request: Request[Any, Any, Any],
    subscription_id: FromPath[str],
    handler: FromDishka[Handler[ListSubscriptionEvents, Page[EventView, EventPosition]]],
    limit: LimitParameter = LIMIT,
    cursor: CursorParameter = None,
) -> EventsPage:
    """Oldest first; for the owner and for administrators."""
    after = cursors.decode("events", cursor, tuple[PositionInteger])
    query = ListSubscriptionEvents(_subscription_id(subscription_id), PageRequest(limit, after))
    page = await handler(query, caller_of(request))
    return EventsPage([EventOut.of(item) for item in page.items], cursors.encode("events", page.next))


@get(
    "/v1/subscriptions",
    operation_id="listSubscriptions",
    tags=["subscriptions"],
    summary="The subscriptions of all users",
    opt={
        "who": Who.ADMIN,
        "query": ("status", "plan", "user_id", "email", "ends_before", "ends_after", *PAGING),
        "repeatable": ("status",),
    },
)
async def list_subscriptions(  # noqa: PLR0913, PLR0917 - one for each parameter of the contract
    request: Request[Any, Any, Any],
    handler: FromDishka[Handler[ListSubscriptions, Page[SubscriptionView, SubscriptionPosition]]],
    status: Annotated[
        list[str] | None, QueryParameter(name="status", description="The status that holds now; may repeat.")
    ] = None,
    plan: Annotated[str | None, QueryParameter(name="plan", max_length=100, description="A plan's code or id.")] = None,
    user_id: Annotated[str | None, QueryParameter(name="user_id", description="One user's.")] = None,
    email: Annotated[
        str | None, QueryParameter(name="email", max_length=320, description="One user's, by the whole email.")
    ] = None,
    ends_before: Annotated[
        str | None, QueryParameter(name="ends_before", description="Those that end before this instant.")
    ] = None,
    ends_after: Annotated[
        str | None, QueryParameter(name="ends_after", description="Those that end at this instant or later.")
    ] = None,
    limit: LimitParameter = LIMIT,
    cursor: CursorParameter = None,
) -> SubscriptionsPage:
    """Newest first; with a filter on ends, soonest end first."""
    wanted = SubscriptionFilter(
        statuses=_statuses(status or []),
        plan=plan,
        user_id=None if user_id is None else _user_id(user_id),
        email=email,
        ends_before=instant("ends_before", ends_before),
        ends_after=instant("ends_after", ends_after),
    )
    order = "subscriptions-by-end" if wanted.by_end else "subscriptions"
    position = tuple[AwareDatetime, cursors.Id] if wanted.by_end else tuple[None, cursors.Id]
    after = cursors.decode(order, cursor, position)
    page = await handler(ListSubscriptions(wanted, PageRequest(limit, after)), caller_of(request))
    return SubscriptionsPage([SubscriptionOut.of(item) for item in page.items], cursors.encode(order, page.next))


def _expected(request: Request[Any, Any, Any]) -> VersionPrecondition | None:
    return expected(request.headers.get("if-match"))


def _subscription_id(text: str) -> cursors.Id:
    parsed = uuid_or_none(text)
    if parsed is None:
        raise SubscriptionNotFound(text)
    return parsed


def _statuses(texts: list[str]) -> frozenset[Status]:
    known = {status.value: status for status in Status}
    if unknown := [text for text in texts if text not in known]:
        raise bad_parameter("status", f"must be one of {', '.join(known)}, not {unknown[0][:50]!r}")
    return frozenset(known[text] for text in texts)


def _user_id(text: str) -> cursors.Id:
    parsed = uuid_or_none(text)
    if parsed is None:
        raise bad_parameter("user_id", "must be a UUID")
    return parsed


ROUTES = (*of_subject(ME), *of_subject(USER), get_subscription, list_events, list_subscriptions)
