"""The list of plans, and its management by administrators."""

from __future__ import annotations

from typing import Annotated, Any

from dishka.integrations.litestar import FromDishka
from litestar.connection import Request
from litestar.params import FromPath, QueryParameter
from litestar.response import Response

from smp.adapters.http.api import cursors
from smp.adapters.http.api.answers import plan_answer
from smp.adapters.http.api.conditional import one
from smp.adapters.http.api.plans.schemas import PlanIn, PlanOut, PlanPatchIn, PlansPage, RevisionOut, RevisionsPage
from smp.adapters.http.api.preconditions import if_match, version_tag
from smp.adapters.http.authentication import caller_of
from smp.adapters.http.idempotency import IdempotencyKeys
from smp.adapters.http.operation import Operation
from smp.adapters.http.parameters import LIMIT, PAGING, CursorParameter, LimitParameter, PositionInteger, bad_parameter
from smp.adapters.http.rendered import respond
from smp.adapters.http.request_body import body_of
from smp.adapters.http.routing import Controller, get, patch, post
from smp.adapters.http.wire import EmptyBody
from smp.application.commands.archive_plan import ArchivePlan
from smp.application.commands.create_plan import CreatePlan
from smp.application.commands.restore_plan import RestorePlan
from smp.application.commands.update_plan import UpdatePlan
from smp.application.execution import Handler
from smp.application.outcomes import PlanOutcome
from smp.application.paging import Page, PageRequest
from smp.application.ports.plan_reader import PlanPosition, RevisionPosition
from smp.application.queries.get_plan import GetPlan
from smp.application.queries.list_plan_revisions import ListPlanRevisions
from smp.application.queries.list_plans import ListPlans
from smp.application.queries.views import PlanView, RevisionView
from smp.domain.plan.plan import PlanStatus

_STATUSES = {"active": PlanStatus.ACTIVE, "archived": PlanStatus.ARCHIVED, "all": None}


class PlanController(Controller):
    """The controller of plans."""

    path = "/v1/plans"

    @get(
        "",
        Operation(
            id="listPlans",
            response=PlansPage,
            tag="plans",
            summary="List plans",
            use_case=ListPlans,
            query=("status", *PAGING),
            problems=("not-authenticated", "forbidden"),
        ),
    )
    async def list_plans(
        self,
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[ListPlans, Page[PlanView, PlanPosition]]],
        status: Annotated[
            str,
            QueryParameter(
                name="status",
                description="`archived` and `all` are for administrators and services.",
                schema_extra={"enum": list(_STATUSES)},
            ),
        ] = "active",
        limit: LimitParameter = LIMIT,
        cursor: CursorParameter = None,
    ) -> PlansPage:
        """Return the active plans by currency, cheapest first. Administrators can also list archived plans, or all."""
        if status not in _STATUSES:
            raise bad_parameter("status", "must be `active`, `archived` or `all`")
        after = cursors.decode("plans", cursor, tuple[str, PositionInteger, str])
        page = await handler(ListPlans(_STATUSES[status], PageRequest(limit, after)), caller_of(request))
        return PlansPage([PlanOut.of(item) for item in page.items], cursors.encode("plans", page.next))

    @get(
        "/{plan:str}",
        Operation(
            id="getPlan",
            tag="plans",
            summary="Get a plan",
            use_case=GetPlan,
            problems=("plan-not-found",),
            response=PlanOut,
            etag=True,
        ),
    )
    async def get_plan(
        self, request: Request[Any, Any, Any], plan: FromPath[str], handler: FromDishka[Handler[GetPlan, PlanView]]
    ) -> Response[bytes]:
        """Return the plan with this code or id, at its newest revision, also if it is archived."""
        view = await handler(GetPlan(plan), caller_of(request))
        return one(request, PlanOut.of(view), version_tag(view.version))

    @post(
        "",
        Operation(
            id="createPlan",
            idempotent=True,
            tag="plans",
            summary="Create a plan",
            use_case=CreatePlan,
            request=PlanIn,
            status=201,
            problems=("plan-code-taken",),
            response=PlanOut,
            etag=True,
        ),
    )
    async def create_plan(
        self,
        request: Request[Any, Any, Any],
        handler: FromDishka[Handler[CreatePlan, PlanOutcome]],
        keys: FromDishka[IdempotencyKeys],
    ) -> Response[bytes]:
        """Create a plan at revision 1. It is active: users can subscribe to it at once. A code can be used once."""
        body, caller = body_of(request, PlanIn), caller_of(request)
        command = CreatePlan(body.code, body.name, body.description, body.terms(), await keys.of(request, caller))
        return respond(plan_answer(await handler(command, caller)))

    @patch(
        "/{plan:str}",
        Operation(
            id="changePlan",
            if_match=True,
            merge_patch=True,
            tag="plans",
            summary="Change a plan",
            use_case=UpdatePlan,
            request=PlanPatchIn,
            problems=("plan-not-found", "precondition-failed"),
            response=PlanOut,
            etag=True,
        ),
    )
    async def change_plan(
        self,
        request: Request[Any, Any, Any],
        plan: FromPath[str],
        handler: FromDishka[Handler[UpdatePlan, PlanOutcome]],
    ) -> Response[bytes]:
        """Change the members that are sent (RFC 7396): absent ones stay, and `null` removes.

        A change of price, period, trial period or features creates a revision. Existing subscriptions keep the revision
        that they started with.
        """
        command = UpdatePlan(plan, body_of(request, PlanPatchIn).patch(), if_match(request))
        return respond(plan_answer(await handler(command, caller_of(request))))

    @post(
        "/{plan:str}/archive",
        Operation(
            id="archivePlan",
            if_match=True,
            idempotent=True,
            request=EmptyBody,
            request_optional=True,
            tag="plans",
            summary="Archive a plan",
            use_case=ArchivePlan,
            problems=("plan-not-found", "precondition-failed"),
            response=PlanOut,
            etag=True,
        ),
    )
    async def archive_plan(
        self,
        request: Request[Any, Any, Any],
        plan: FromPath[str],
        handler: FromDishka[Handler[ArchivePlan, PlanOutcome]],
        keys: FromDishka[IdempotencyKeys],
    ) -> Response[bytes]:
        """Close the plan to new trials and subscriptions. Existing ones continue and can be renewed."""
        caller = caller_of(request)
        command = ArchivePlan(plan, if_match(request), await keys.of(request, caller))
        return respond(plan_answer(await handler(command, caller)))

    @post(
        "/{plan:str}/restore",
        Operation(
            id="restorePlan",
            if_match=True,
            idempotent=True,
            request=EmptyBody,
            request_optional=True,
            tag="plans",
            summary="Restore an archived plan",
            use_case=RestorePlan,
            problems=("plan-not-found", "precondition-failed"),
            response=PlanOut,
            etag=True,
        ),
    )
    async def restore_plan(
        self,
        request: Request[Any, Any, Any],
        plan: FromPath[str],
        handler: FromDishka[Handler[RestorePlan, PlanOutcome]],
        keys: FromDishka[IdempotencyKeys],
    ) -> Response[bytes]:
        """Open an archived plan to new trials and subscriptions again."""
        caller = caller_of(request)
        command = RestorePlan(plan, if_match(request), await keys.of(request, caller))
        return respond(plan_answer(await handler(command, caller)))

    @get(
        "/{plan:str}/revisions",
        Operation(
            id="listPlanRevisions",
            response=RevisionsPage,
            tag="plans",
            summary="List the revisions of a plan",
            use_case=ListPlanRevisions,
            query=PAGING,
            problems=("plan-not-found",),
        ),
    )
    async def list_plan_revisions(
        self,
        request: Request[Any, Any, Any],
        plan: FromPath[str],
        handler: FromDishka[Handler[ListPlanRevisions, Page[RevisionView, RevisionPosition]]],
        limit: LimitParameter = LIMIT,
        cursor: CursorParameter = None,
    ) -> RevisionsPage:
        """Return all sets of terms that the plan has had, newest first."""
        after = cursors.decode("revisions", cursor, tuple[PositionInteger])
        page = await handler(ListPlanRevisions(plan, PageRequest(limit, after)), caller_of(request))
        return RevisionsPage([RevisionOut.of(item) for item in page.items], cursors.encode("revisions", page.next))


CONTROLLERS = (PlanController,)
