"""Subscriptions: those of the caller, those of a user for administrators, and the list of all."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from uuid import UUID

from dishka.integrations.litestar import FromDishka
from litestar.connection import Request
from litestar.params import FromPath
from litestar.response import Response

from smp.adapters.http.api import cursors
from smp.adapters.http.api.answers import subscription_answer
from smp.adapters.http.api.conditional import one
from smp.adapters.http.api.preconditions import body_tag, if_match
from smp.adapters.http.api.subscriptions import operations
from smp.adapters.http.api.subscriptions.filters import (
    EmailParameter,
    EndedAfterParameter,
    EndedBeforeParameter,
    EndsAfterParameter,
    EndsBeforeParameter,
    PlanParameter,
    StatusParameter,
    UserIdParameter,
    parse_statuses,
    parse_user_id,
)
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
from smp.adapters.http.api.target_user import ME, USER, TargetUser, TargetUserController
from smp.adapters.http.authentication import caller_of
from smp.adapters.http.idempotency import IdempotencyKeys
from smp.adapters.http.parameters import (
    LIMIT,
    AwareDatetime,
    CursorParameter,
    LimitParameter,
    PositionInteger,
    instant,
    uuid_or_none,
)
from smp.adapters.http.rendered import respond
from smp.adapters.http.request_body import body_of
from smp.adapters.http.routing import Controller, get, post
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
    ListOrder,
    SubscriptionFilter,
    SubscriptionPosition,
)
from smp.application.queries.get_current_subscription import GetCurrentSubscription
from smp.application.queries.get_subscription import GetSubscription
from smp.application.queries.list_subscription_events import ListSubscriptionEvents
from smp.application.queries.list_subscription_history import ListSubscriptionHistory
from smp.application.queries.list_subscriptions import ListSubscriptions
from smp.application.queries.views import EventView, SubscriptionView
from smp.domain.errors import SubscriptionNotFound

_LIST_NAMES: Final = {
    ListOrder.NEWEST: "subscriptions",
    ListOrder.PLANNED_END: "subscriptions-by-end",
    ListOrder.REAL_END: "subscriptions-by-real-end",
}
"""The names in the cursors of each order."""


class TargetUserSubscriptions(TargetUserController):
    """The controller of the subscriptions of the target user."""

    @get("/subscription", operations.CURRENT)
    async def current(
        self, request: Request[Any, Any, Any], handler: FromDishka[Handler[GetCurrentSubscription, SubscriptionView]]
    ) -> Response[bytes]:
        """Return the user's trial or active subscription. A user has at most one."""
        view = await handler(GetCurrentSubscription(self.target.user_id(request)), caller_of(request))
        document = SubscriptionOut.of(view)
        return one(request, document, body_tag(document.version, document))

    @post("/subscription/trial", operations.START_TRIAL)
    async def trial(
        self,
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[StartTrial, SubscriptionOutcome]],
        keys: FromDishka[IdempotencyKeys],
    ) -> Response[bytes]:
        """Start the trial of a plan that has one. It needs no payment, and ends by itself.

        A user can try each plan once, even if the trial was cancelled; the platform may allow one trial in all. It is
        refused while the user has a live subscription, and for an archived plan.
        """
        body, caller = body_of(request, StartTrialIn), caller_of(request)
        command = StartTrial(self.target.user_id(request), body.plan, if_match(request), await keys.of(request, caller))
        return respond(subscription_answer(await handler(command, caller)))

    @post("/subscription/activate", operations.ACTIVATE)
    async def activate(
        self,
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[ActivateSubscription, SubscriptionOutcome]],
        keys: FromDishka[IdempotencyKeys],
    ) -> Response[bytes]:
        """Start a paid or free subscription (201), or convert the running trial to one, also to another plan (200).

        A plan with a price is charged once, for the first period, with `payment_method`. On a platform without a
        payment provider, an administrator activates it after the user has paid. It is refused while the user has an
        active subscription, and for an archived plan. Nothing changes if the payment fails. A subscription does not
        renew by itself.
        """
        body, caller = body_of(request, ActivateIn), caller_of(request)
        command = ActivateSubscription(
            self.target.user_id(request),
            body.plan,
            body.payment_method,
            if_match(request),
            await keys.of(request, caller),
        )
        return respond(subscription_answer(await handler(command, caller)))

    @post("/subscription/cancel", operations.CANCEL)
    async def cancel(
        self,
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[CancelSubscription, SubscriptionOutcome]],
        keys: FromDishka[IdempotencyKeys],
    ) -> Response[bytes]:
        """Cancel the subscription. Warning: without a body, access ends at once and for good; see `at`.

        With `at` = `period_end`, access continues until the end of the period, and the cancellation can be undone with
        `resume`. Use `period_end` for a customer who has paid until then.
        """
        body, caller = body_of(request, CancelIn), caller_of(request)
        command = CancelSubscription(
            self.target.user_id(request), body.at, if_match(request), await keys.of(request, caller)
        )
        return respond(subscription_answer(await handler(command, caller)))

    @post("/subscription/resume", operations.RESUME)
    async def resume(
        self,
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[ResumeSubscription, SubscriptionOutcome]],
        keys: FromDishka[IdempotencyKeys],
    ) -> Response[bytes]:
        """Withdraw a cancellation that was scheduled with `period_end`, so that the subscription keeps its period.

        It is refused if no cancellation is scheduled. A subscription that has ended cannot be resumed.
        """
        caller = caller_of(request)
        command = ResumeSubscription(self.target.user_id(request), if_match(request), await keys.of(request, caller))
        return respond(subscription_answer(await handler(command, caller)))

    @post("/subscription/renew", operations.RENEW)
    async def renew(
        self,
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[RenewSubscription, SubscriptionOutcome]],
        keys: FromDishka[IdempotencyKeys],
    ) -> Response[bytes]:
        """Charge for one more period and move the end of the active subscription by it, also before the period is over.

        The price is the one that the subscription started with, even if the plan changed since. It is refused for a
        trial, for a subscription without an end, and while a cancellation is scheduled. Nothing changes if the payment
        fails.
        """
        body, caller = body_of(request, RenewIn), caller_of(request)
        command = RenewSubscription(
            self.target.user_id(request), body.payment_method, if_match(request), await keys.of(request, caller)
        )
        return respond(subscription_answer(await handler(command, caller)))

    @get("/subscriptions", operations.HISTORY)
    async def history(
        self,
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[ListSubscriptionHistory, Page[SubscriptionView, HistoryPosition]]],
        limit: LimitParameter = LIMIT,
        cursor: CursorParameter = None,
    ) -> SubscriptionsPage:
        """Return all subscriptions that the user has or had, newest first."""
        after = cursors.decode("history", cursor, tuple[AwareDatetime, UUID])
        query = ListSubscriptionHistory(self.target.user_id(request), PageRequest(limit, after))
        page = await handler(query, caller_of(request))
        return _page("history", page)


class MySubscriptions(TargetUserSubscriptions):
    """The controller of the subscriptions of the caller."""

    path = ME.path
    target: ClassVar[TargetUser] = ME


class UserSubscriptions(TargetUserSubscriptions):
    """The controller of the subscriptions of a user, for administrators."""

    path = USER.path
    target: ClassVar[TargetUser] = USER


class SubscriptionController(Controller):
    """The controller of subscriptions by their ids, and of the list of all."""

    path = "/v1/subscriptions"

    @get("/{subscription_id:str}", operations.GET)
    async def by_id(
        self,
        request: Request[Any, Any, Any],
        subscription_id: FromPath[str],
        handler: FromDishka[Handler[GetSubscription, SubscriptionView]],
    ) -> Response[bytes]:
        """Return one subscription, live or ended. Users see their own only; another user's does not exist for them."""
        view = await handler(GetSubscription(_subscription_id(subscription_id)), caller_of(request))
        document = SubscriptionOut.of(view)
        return one(request, document, body_tag(document.version, document))

    @get("/{subscription_id:str}/events", operations.EVENTS)
    async def events(
        self,
        request: Request[Any, Any, Any],
        subscription_id: FromPath[str],
        handler: FromDishka[Handler[ListSubscriptionEvents, Page[EventView, EventPosition]]],
        limit: LimitParameter = LIMIT,
        cursor: CursorParameter = None,
    ) -> EventsPage:
        """Return what happened to a subscription, who did it and when, oldest first. Users see their own only."""
        after = cursors.decode("events", cursor, tuple[PositionInteger])
        query = ListSubscriptionEvents(_subscription_id(subscription_id), PageRequest(limit, after))
        page = await handler(query, caller_of(request))
        return EventsPage([EventOut.of(item) for item in page.items], cursors.encode("events", page.next))

    @get("", operations.LIST)
    async def all(  # noqa: PLR0913, PLR0917 - one for each parameter of the contract
        self,
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[ListSubscriptions, Page[SubscriptionView, SubscriptionPosition]]],
        status: StatusParameter = None,
        plan: PlanParameter = None,
        user_id: UserIdParameter = None,
        email: EmailParameter = None,
        ends_before: EndsBeforeParameter = None,
        ends_after: EndsAfterParameter = None,
        ended_before: EndedBeforeParameter = None,
        ended_after: EndedAfterParameter = None,
        limit: LimitParameter = LIMIT,
        cursor: CursorParameter = None,
    ) -> SubscriptionsPage:
        """Return the subscriptions that match all filters, newest first, or with a filter on an end, the soonest first.

        `ends_after` and `ends_before` are about `ends_at`, the planned end. `ended_after` and `ended_before` are about
        `ended_at`: who left in a period, early or at the planned end.
        """
        filter_ = SubscriptionFilter(
            statuses=parse_statuses(status or []),
            plan=plan,
            user_id=None if user_id is None else parse_user_id(user_id),
            email=email,
            ends_before=instant("ends_before", ends_before),
            ends_after=instant("ends_after", ends_after),
            ended_before=instant("ended_before", ended_before),
            ended_after=instant("ended_after", ended_after),
        )
        order = _LIST_NAMES[filter_.order]
        position = tuple[None, UUID] if filter_.order is ListOrder.NEWEST else tuple[AwareDatetime, UUID]
        after = cursors.decode(order, cursor, position)
        page = await handler(ListSubscriptions(filter_, PageRequest(limit, after)), caller_of(request))
        return _page(order, page)


def _page(list_name: str, page: Page[SubscriptionView, Any]) -> SubscriptionsPage:
    return SubscriptionsPage([SubscriptionOut.of(item) for item in page.items], cursors.encode(list_name, page.next))


def _subscription_id(text: str) -> UUID:
    parsed = uuid_or_none(text)
    if parsed is None:
        raise SubscriptionNotFound(text)
    return parsed


CONTROLLERS = (MySubscriptions, UserSubscriptions, SubscriptionController)
