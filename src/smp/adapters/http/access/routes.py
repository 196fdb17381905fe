"""May this user use this feature now?

The hot path: the use cases are held by the application, not made for the request.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from dishka import AsyncContainer
from litestar import get
from litestar.connection import Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Response

from smp.adapters.http.access.schemas import AccessOut, AllAccessOut
from smp.adapters.http.callers import caller_of
from smp.adapters.http.parameters import bad_parameter
from smp.adapters.http.subjects import ME, USER, Subject
from smp.application.queries.check_access import CheckAccess, CheckAccessHandler
from smp.application.queries.get_user import GetUser, GetUserHandler
from smp.application.queries.list_access import ListAccess, ListAccessHandler
from smp.domain.features import is_feature_key


def of_subject(subject: Subject) -> list[HTTPRouteHandler]:
    """The routes of one user's access, for this way of naming the user."""

    @get(
        f"{subject.base}/access",
        operation_id=f"listAccess{subject.suffix}",
        tags=["access"],
        summary="Everything that may be used now",
        opt={"who": subject.gate, "problems": subject.problems, "answers": AllAccessOut},
    )
    async def list_access(request: Request[Any, Any, Any]) -> Response[bytes]:
        """The features of the live subscription; empty where nothing is live."""
        container, user_id = _container(request), subject.user_id(request)
        view = await (await container.get(ListAccessHandler))(ListAccess(user_id))
        if view.status is None:
            await _check_user(request, container, user_id)
        return _json(AllAccessOut.of(view))

    @get(
        f"{subject.base}/access/{{feature:str}}",
        operation_id=f"checkAccess{subject.suffix}",
        tags=["access"],
        summary="May this feature be used now?",
        opt={"who": subject.gate, "problems": subject.problems, "answers": AccessOut},
    )
    async def check_access(request: Request[Any, Any, Any], feature: FromPath[str]) -> Response[bytes]:
        """200 also where it is denied; `reason` says why."""
        if not is_feature_key(feature):
            raise bad_parameter("feature", "must be a key of a-z, 0-9, _ . - that begins with a letter")
        container, user_id = _container(request), subject.user_id(request)
        decision = await (await container.get(CheckAccessHandler))(CheckAccess(user_id, feature))
        if decision.status is None:
            await _check_user(request, container, user_id)
        return _json(AccessOut.of(feature, decision))

    return [list_access, check_access]


async def _check_user(request: Request[Any, Any, Any], container: AsyncContainer, user_id: UUID) -> None:
    """Who never subscribed may not exist at all: UserNotFound then. The caller itself does exist."""
    if caller_of(request).actor.id != user_id:
        await (await container.get(GetUserHandler))(GetUser(user_id))


def _container(request: Request[Any, Any, Any]) -> AsyncContainer:
    return request.app.state.dishka_container  # type: ignore[no-any-return]


def _json(document: msgspec.Struct) -> Response[bytes]:
    return Response(content=msgspec.json.encode(document), media_type="application/json")


ROUTES = (*of_subject(ME), *of_subject(USER))
