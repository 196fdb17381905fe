"""Is the process alive, and can it answer?"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from dishka.integrations.litestar import FromDishka
from litestar.connection import Request
from litestar.response import Response

from smp.adapters.http.middleware.stack import BASE_PATH
from smp.adapters.http.operation import NO_USE_CASE, Operation
from smp.adapters.http.problems.details import ProblemDetails
from smp.adapters.http.problems.table import BY_SLUG
from smp.adapters.http.rendered import respond
from smp.adapters.http.routing import Controller, get
from smp.adapters.http.settings import NEEDED, UP, Readiness
from smp.adapters.http.wire import ResponseModel

LIVE_PATH: Final = "/health/live"
READY_PATH: Final = "/health/ready"


class Health(ResponseModel, frozen=True):
    """The process is alive."""

    status: Literal["live"]


class Ready(ResponseModel, frozen=True):
    """Everything that the service needs is up."""

    status: Literal["ready"]
    checks: Annotated[dict[str, str], msgspec.Meta(examples=[{"database": "ok", "migrations": "ok"}])]


class HealthController(Controller):
    """The state of the process and of what it needs."""

    @get(
        LIVE_PATH,
        Operation(
            id="live",
            response=Health,
            tag="health",
            summary="Is the process alive?",
            use_case=NO_USE_CASE,
        ),
    )
    async def live(
        self,
    ) -> Health:
        """Return 200 while the process runs, whatever the state of the database."""
        return Health("live")

    @get(
        READY_PATH,
        Operation(
            id="ready",
            tag="health",
            summary="Can the service answer?",
            use_case=NO_USE_CASE,
            problems=("not-ready",),
            response=Ready,
        ),
    )
    async def ready(self, request: Request[Any, Any, Any], readiness: FromDishka[Readiness]) -> Response[bytes]:
        """Return 200 if requests can be served, or 503 with what is not available: the database or its migrations.

        A database without writes is ready.
        """
        checks = dict(await readiness.check())
        down = [name for name, state in checks.items() if state != UP and name in NEEDED]
        if down:
            detail = f"not ready: {', '.join(f'{name} ({checks[name]})' for name in down)}"
            problem = ProblemDetails(BY_SLUG["not-ready"], detail, {"checks": checks}, (), {"retry-after": "2"})
            return respond(problem.answer("", str(request.scope.get(BASE_PATH, ""))))
        return Response(content=msgspec.json.encode(Ready("ready", checks)), media_type="application/json")


CONTROLLERS = (HealthController,)
