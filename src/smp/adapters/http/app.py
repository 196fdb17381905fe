"""The HTTP application: its areas, their middlewares, the routes, and the one table of errors."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog
from dishka import AsyncContainer
from dishka.integrations.litestar import setup_dishka
from litestar import Litestar, Router
from litestar.connection import Request
from litestar.exceptions import HTTPException, ValidationException
from litestar.response import Response
from litestar.routes import HTTPRoute
from litestar.types import ControllerRouterHandler

from smp import __version__
from smp.adapters.http.access import app as access
from smp.adapters.http.access.endpoint import AccessEndpoint
from smp.adapters.http.api.auth import controllers as auth
from smp.adapters.http.api.plans import controllers as plans
from smp.adapters.http.api.statistics import controllers as statistics
from smp.adapters.http.api.subscriptions import controllers as subscriptions
from smp.adapters.http.api.test_clock import controllers as test_clock
from smp.adapters.http.api.users import controllers as users
from smp.adapters.http.asgi import App
from smp.adapters.http.authentication import guard, send_renewed_token
from smp.adapters.http.client_source import ClientSources
from smp.adapters.http.documentation import routes as documentation
from smp.adapters.http.documentation.openapi import complete, openapi_config
from smp.adapters.http.health import controllers as health
from smp.adapters.http.health.metrics import metrics
from smp.adapters.http.middleware.access_log import AccessLog, RequestObserver, SourceOf
from smp.adapters.http.middleware.body import BodyParser
from smp.adapters.http.middleware.concurrency import ConcurrencyLimit
from smp.adapters.http.middleware.cross_origin import refuse_cross_origin
from smp.adapters.http.middleware.json_body import JSON
from smp.adapters.http.middleware.limits import BODY_BYTES_MAX, limit_headers, limit_target
from smp.adapters.http.middleware.security_headers import security_headers
from smp.adapters.http.middleware.stack import BASE_PATH, REQUEST_ID, Area, MiddlewareStack
from smp.adapters.http.operation import OPERATION, Operation
from smp.adapters.http.problems.details import ProblemDetails, details, unexpected
from smp.adapters.http.problems.rejection import FieldError
from smp.adapters.http.problems.table import BY_SLUG
from smp.adapters.http.rendered import respond
from smp.adapters.http.settings import HttpSettings
from smp.adapters.http.validation import plain
from smp.application.ports.id_generator import IdGenerator

_log = structlog.stdlib.get_logger("smp.http")

_BY_STATUS: Final[Mapping[int, str]] = {
    400: "malformed-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "content-too-large",
}
_HEALTH_PATHS: Final = ("/health/", "/metrics")

REQUESTS_AT_ONCE_MAX: Final = 256
"""Requests that each area of a worker works on at once."""


@dataclass(frozen=True, slots=True)
class HttpDependencies:
    """What the application is built from; ``lifespans`` live as long as it serves."""

    container: AsyncContainer
    settings: HttpSettings
    ids: IdGenerator
    lifespans: tuple[AbstractAsyncContextManager[None], ...] = ()


def create_app(dependencies: HttpDependencies) -> App:
    """Build the application.

    The container provides the handlers, ``RequestAuthenticator``, ``IdempotencyKeys``, ``AccessEndpoint``,
    ``HttpSettings``, ``Readiness``, ``RequestObserver`` and, where metrics are served on this port, ``Exposition``.
    """
    container = dependencies.container
    litestar = _litestar(dependencies)
    setup_dishka(container, litestar)

    async def access_endpoint() -> AccessEndpoint:
        return await container.get(AccessEndpoint)

    async def observer() -> tuple[RequestObserver, SourceOf]:
        return await container.get(RequestObserver), (await container.get(ClientSources)).of_scope

    def limit() -> ConcurrencyLimit:
        return ConcurrencyLimit(REQUESTS_AT_ONCE_MAX)

    body = BodyParser(JSON)
    checks = (limit_target, limit_headers, body.check_media_type, refuse_cross_origin)
    headers = security_headers(strict_transport=dependencies.settings.secure)
    areas = (
        Area(access.holds, access.AccessApp(access_endpoint), checks, body, headers, limit(), errors_only=True),
        Area(lambda path: path.startswith(_HEALTH_PATHS), litestar, checks, body, headers, limit(), errors_only=True),
        Area(lambda _path: True, litestar, checks, body, headers, limit()),
    )
    return MiddlewareStack(areas, litestar, dependencies.ids, AccessLog(observer), dependencies.settings.base_path)


def _litestar(dependencies: HttpDependencies) -> Litestar:
    settings = dependencies.settings
    handlers: list[ControllerRouterHandler] = [
        *auth.CONTROLLERS,
        *plans.CONTROLLERS,
        *subscriptions.CONTROLLERS,
        *users.CONTROLLERS,
        *statistics.CONTROLLERS,
        *health.CONTROLLERS,
    ]
    if settings.test_clock:
        handlers += test_clock.CONTROLLERS
    if settings.metrics:
        handlers.append(metrics)

    def document() -> dict[str, Any]:
        return complete(app.openapi_schema.to_schema(), _operations(app), access.OPERATIONS, settings.public_url)

    app = Litestar(
        route_handlers=[
            Router("", route_handlers=documentation.routes(document), guards=[guard]),
            Router("", route_handlers=handlers, guards=[guard]),
        ],
        exception_handlers={Exception: _problem},
        before_send=[send_renewed_token],
        openapi_config=openapi_config(__version__, settings.cookie_name),
        request_max_body_size=BODY_BYTES_MAX,
        lifespan=list(dependencies.lifespans),
        logging_config=None,
    )
    return app


def _operations(app: Litestar) -> Mapping[str, Operation]:
    """The operations of the documented routes, by their ids."""
    handlers = (handler for route in app.routes if isinstance(route, HTTPRoute) for handler in route.route_handlers)
    operations = (
        handler.opt[OPERATION] for handler in handlers if handler.include_in_schema and OPERATION in handler.opt
    )
    return {operation.id: operation for operation in operations}


def _problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    request_id = cast("str", request.scope.get(REQUEST_ID, ""))
    problem = details(error) or _of_framework(error)
    if problem is None:
        _log.error("unexpected error", exc_info=error)
        problem = unexpected()
    return respond(problem.answer(request_id, str(request.scope.get(BASE_PATH, ""))))


def _of_framework(error: Exception) -> ProblemDetails | None:
    """Translate what Litestar itself refuses."""
    if isinstance(error, ValidationException):
        return _invalid(error)
    if isinstance(error, HTTPException) and error.status_code in _BY_STATUS:
        problem = BY_SLUG[_BY_STATUS[error.status_code]]
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        return ProblemDetails(problem, problem.explanation, {}, (), headers)
    return None


def _invalid(error: ValidationException) -> ProblemDetails:
    parameters = error.extra if isinstance(error.extra, list) else []
    errors = tuple(
        FieldError(f"/{extra.get('key', '')}", plain(str(extra.get("message", ""))))
        for extra in parameters
        if isinstance(extra, dict)
    )
    return ProblemDetails(BY_SLUG["invalid-parameter"], "some parameters are not allowed", {}, errors)
