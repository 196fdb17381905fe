"""Is the process alive, and can it answer?"""

from __future__ import annotations

from typing import Any

import msgspec
from dishka.integrations.litestar import FromDishka
from litestar import get
from litestar.connection import Request
from litestar.response import Response

from smp.adapters.http.authentication import Who
from smp.adapters.http.problems import BY_SLUG, ProblemDetails
from smp.adapters.http.rendered import respond
from smp.adapters.http.settings import UP, Readiness


class Health(msgspec.Struct, frozen=True):
    """A sign of life."""

    status: str


class Ready(msgspec.Struct, frozen=True):
    """Everything that the service needs is up."""

    status: str
    checks: dict[str, str]


@get("/health/live", operation_id="live", tags=["health"], summary="Is the process alive?", opt={"who": Who.ANYONE})
async def live() -> Health:
    """Needs nothing but the process."""
    return Health("live")


@get(
    "/health/ready",
    operation_id="ready",
    tags=["health"],
    summary="Can the service answer?",
    opt={"who": Who.ANYONE, "problems": ("not-ready",), "answers": Ready},
)
async def ready(request: Request[Any, Any, Any], readiness: FromDishka[Readiness]) -> Response[bytes]:  # noqa: ARG001
    """200, or 503 naming what is down: the database or the migrations."""
    checks = dict(await readiness.check())
    down = [name for name, state in checks.items() if state != UP]
    if down:
        detail = f"not ready: {', '.join(f'{name} ({checks[name]})' for name in down)}"
        problem = ProblemDetails(BY_SLUG["not-ready"], detail, {"checks": checks}, (), {"retry-after": "2"})
        return respond(problem.answer())
    return Response(content=msgspec.json.encode(Ready("ready", checks)), media_type="application/json")


ROUTES = (live, ready)
