"""The price list, and what administrators do with it."""

from __future__ import annotations

from typing import Annotated, Any

from dishka.integrations.litestar import FromDishka
from litestar import get, patch, post
from litestar.connection import Request
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Response

from smp.adapters.http.api import cursors
from smp.adapters.http.api.answers import plan_answer
from smp.adapters.http.api.conditional import one
from smp.adapters.http.api.plans.schemas import PlanIn, PlanOut, PlanPatchIn, PlansPage, RevisionOut, RevisionsPage
from smp.adapters.http.api.preconditions import expected
from smp.adapters.http.authentication import Who, caller_of
from smp.adapters.http.idempotency import IdempotencyKeys
from smp.adapters.http.parameters import LIMIT, PAGING, CursorParameter, LimitParameter, PositionInteger, bad_parameter
from smp.adapters.http.rendered import respond
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

_NOTHING = EmptyBody()
_STATUSES = {"active": PlanStatus.ACTIVE, "archived": PlanStatus.ARCHIVED, "all": None}


@get(
    "/v1/plans",
    operation_id="listPlans",
    tags=["plans"],
    summary="The price list",
    opt={"who": Who.ANYONE_OR_ADMIN, "query": ("status", *PAGING), "problems": ("not-authenticated", "forbidden")},
)
async def list_plans(
    request: Request[Any, Any, Any],
    handler: FromDishka[Handler[ListPlans, Page[PlanView, PlanPosition]]],
    status: Annotated[
        str, QueryParameter(name="status", description="`active`, and for administrators `archived` or `all`.")
    ] = "active",
    limit: LimitParameter = LIMIT,
    cursor: CursorParameter = None,
) -> PlansPage:
    """Active plans, cheapest first; administrators may ask for archived ones or all."""
    if status not in _STATUSES:
        raise bad_parameter("status", "must be active, archived or all")
    after = cursors.decode("plans", cursor, tuple[PositionInteger, str])
    page = await handler(ListPlans(_STATUSES[status], PageRequest(limit, after)), caller_of(request))
    return PlansPage([PlanOut.of(item) for item in page.items], cursors.encode("plans", page.next))


@get(
    "/v1/plans/{plan:str}",
    operation_id="getPlan",
    tags=["plans"],
    summary="Look at a plan",
    opt={"who": Who.ANYONE, "problems": ("plan-not-found",), "answers": PlanOut, "etag": True},
)
async def get_plan(
    request: Request[Any, Any, Any], plan: FromPath[str], handler: FromDishka[Handler[GetPlan, PlanView]]
) -> Response[bytes]:
    """The plan with this code or id, at its newest revision."""
    view = await handler(GetPlan(plan), caller_of(request))
    return one(request, PlanOut.of(view), view.version)


@post(
    "/v1/plans",
    operation_id="createPlan",
    tags=["plans"],
    summary="Offer a new plan",
    opt={"who": Who.ADMIN, "problems": ("plan-code-taken",), "answers": PlanOut, "etag": True},
)
async def create_plan(
    request: Request[Any, Any, Any],
    data: JSONBody[PlanIn],
    handler: FromDishka[Handler[CreatePlan, PlanOutcome]],
    keys: FromDishka[IdempotencyKeys],
) -> Response[bytes]:
    """Make a plan at revision 1, open to new subscriptions at once."""
    caller, terms = caller_of(request), data.terms()
    key = await keys.of(request, caller)
    return respond(plan_answer(await handler(CreatePlan(data.code, data.name, data.description, terms, key), caller)))


@patch(
    "/v1/plans/{plan:str}",
    operation_id="changePlan",
    tags=["plans"],
    summary="Change a plan",
    opt={"who": Who.ADMIN, "problems": ("plan-not-found", "precondition-failed"), "answers": PlanOut, "etag": True},
)
async def change_plan(
    request: Request[Any, Any, Any],
    plan: FromPath[str],
    data: JSONBody[PlanPatchIn],
    handler: FromDishka[Handler[UpdatePlan, PlanOutcome]],
) -> Response[bytes]:
    """Merge patch: a change of price, period, trial period or features makes a new revision."""
    command = UpdatePlan(plan, data.patch(), expected(request.headers.get("if-match")))
    return respond(plan_answer(await handler(command, caller_of(request))))


@post(
    "/v1/plans/{plan:str}/archive",
    status_code=200,
    operation_id="archivePlan",
    tags=["plans"],
    summary="Close a plan to new subscriptions",
    opt={"who": Who.ADMIN, "problems": ("plan-not-found", "precondition-failed"), "answers": PlanOut, "etag": True},
)
async def archive_plan(
    request: Request[Any, Any, Any],
    plan: FromPath[str],
    handler: FromDishka[Handler[ArchivePlan, PlanOutcome]],
    keys: FromDishka[IdempotencyKeys],
    data: JSONBody[EmptyBody] = _NOTHING,  # noqa: ARG001 - a body, where there is one, must be empty
) -> Response[bytes]:
    """Running subscriptions are untouched."""
    caller, wanted = caller_of(request), expected(request.headers.get("if-match"))
    key = await keys.of(request, caller)
    return respond(plan_answer(await handler(ArchivePlan(plan, wanted, key), caller)))


@post(
    "/v1/plans/{plan:str}/restore",
    status_code=200,
    operation_id="restorePlan",
    tags=["plans"],
    summary="Open an archived plan again",
    opt={"who": Who.ADMIN, "problems": ("plan-not-found", "precondition-failed"), "answers": PlanOut, "etag": True},
)
async def restore_plan(
    request: Request[Any, Any, Any],
    plan: FromPath[str],
    handler: FromDishka[Handler[RestorePlan, PlanOutcome]],
    keys: FromDishka[IdempotencyKeys],
    data: JSONBody[EmptyBody] = _NOTHING,  # noqa: ARG001 - a body, where there is one, must be empty
) -> Response[bytes]:
    """New subscriptions are possible again."""
    caller, wanted = caller_of(request), expected(request.headers.get("if-match"))
    key = await keys.of(request, caller)
    return respond(plan_answer(await handler(RestorePlan(plan, wanted, key), caller)))


@get(
    "/v1/plans/{plan:str}/revisions",
    operation_id="listPlanRevisions",
    tags=["plans"],
    summary="A plan's terms through time",
    opt={"who": Who.ADMIN, "query": PAGING, "problems": ("plan-not-found",)},
)
async def list_plan_revisions(
    request: Request[Any, Any, Any],
    plan: FromPath[str],
    handler: FromDishka[Handler[ListPlanRevisions, Page[RevisionView, RevisionPosition]]],
    limit: LimitParameter = LIMIT,
    cursor: CursorParameter = None,
) -> RevisionsPage:
    """All revisions, newest first."""
    after = cursors.decode("revisions", cursor, tuple[PositionInteger])
    page = await handler(ListPlanRevisions(plan, PageRequest(limit, after)), caller_of(request))
    return RevisionsPage([RevisionOut.of(item) for item in page.items], cursors.encode("revisions", page.next))


ROUTES = (list_plans, get_plan, create_plan, change_plan, archive_plan, restore_plan, list_plan_revisions)
