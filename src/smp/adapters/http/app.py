"""The HTTP application: its areas, their middlewares, the routes, and the one table of errors."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog
from dishka import AsyncContainer
from dishka.integrations.litestar import DishkaRouter, setup_dishka
from litestar import Litestar, Router
from litestar.connection import Request
from litestar.exceptions import HTTPException, ValidationException
from litestar.response import Response

from smp import __version__
from smp.adapters.http.access import app as access
from smp.adapters.http.access.endpoint import AccessEndpoint
from smp.adapters.http.api.auth import routes as auth_routes
from smp.adapters.http.api.plans import routes as plans_routes
from smp.adapters.http.api.statistics import routes as statistics_routes
from smp.adapters.http.api.subscriptions import routes as subscriptions_routes
from smp.adapters.http.api.test_clock import routes as test_clock_routes
from smp.adapters.http.api.users import routes as users_routes
from smp.adapters.http.asgi import App
from smp.adapters.http.authentication import guard
from smp.adapters.http.documentation import routes as documentation
from smp.adapters.http.documentation.openapi import complete, openapi_config
from smp.adapters.http.health import health
from smp.adapters.http.health.metrics import metrics
from smp.adapters.http.middleware.access_log import AccessLog, RequestObserver
from smp.adapters.http.middleware.body import BodyParser
from smp.adapters.http.middleware.cross_origin import refuse_cross_origin
from smp.adapters.http.middleware.json_body import JSON
from smp.adapters.http.middleware.limits import BODY_BYTES_MAX, limit_target
from smp.adapters.http.middleware.security_headers import security_headers
from smp.adapters.http.middleware.stack import REQUEST_ID, Area, MiddlewareStack
from smp.adapters.http.problems import BY_SLUG, FieldError, ProblemDetails, details, unexpected
from smp.adapters.http.rendered import respond
from smp.adapters.http.settings import HttpSettings
from smp.application.ports.id_generator import IdGenerator

_log = structlog.stdlib.get_logger("smp.http")

_BY_STATUS: Final[Mapping[int, str]] = {
    400: "malformed-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "content-too-large",
}
_HEALTH_PATHS: Final = ("/health/", "/metrics")


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

    async def observer() -> RequestObserver:
        given: RequestObserver = await container.get(RequestObserver)
        return given

    body = BodyParser(JSON)
    checks = (limit_target, body.check_media_type, refuse_cross_origin)
    headers = security_headers(strict_transport=dependencies.settings.secure)
    areas = (
        Area(access.holds, access.AccessApp(access_endpoint), checks, body, headers, errors_only=True),
        Area(lambda path: path.startswith(_HEALTH_PATHS), litestar, checks, body, headers, errors_only=True),
        Area(lambda _path: True, litestar, checks, body, headers),
    )
    return MiddlewareStack(areas, litestar, dependencies.ids, AccessLog(observer))


def _litestar(dependencies: HttpDependencies) -> Litestar:
    settings = dependencies.settings
    handlers = [
        *auth_routes.ROUTES,
        *plans_routes.ROUTES,
        *subscriptions_routes.ROUTES,
        *users_routes.ROUTES,
        *statistics_routes.ROUTES,
        *health.ROUTES,
    ]
    if settings.test_clock:
        handlers += test_clock_routes.ROUTES
    if settings.metrics:
        handlers.append(metrics)

    def document() -> dict[str, Any]:
        named = {str(handler.operation_id): handler for handler in handlers}
        return complete(app.openapi_schema.to_schema(), named, access.ROUTES)

    app = Litestar(
        route_handlers=[
            Router("", route_handlers=documentation.routes(document), guards=[guard]),
            DishkaRouter("", route_handlers=handlers, guards=[guard]),
        ],
        exception_handlers={Exception: _problem},
        openapi_config=openapi_config(__version__, settings.cookie_name),
        request_max_body_size=BODY_BYTES_MAX,
        lifespan=list(dependencies.lifespans),
        logging_config=None,
    )
    return app


def _problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    request_id = cast("str", request.scope.get(REQUEST_ID, ""))
    problem = details(error) or _of_framework(error)
    if problem is None:
        _log.error("unexpected error", exc_info=error)
        problem = unexpected()
    return respond(problem.answer(request_id))


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
    parameters = [extra for extra in _extras(error) if extra.get("source") not in (None, "body")]
    if parameters:
        errors = tuple(FieldError(f"/{extra.get('key', '')}", str(extra.get("message", ""))) for extra in parameters)
        return ProblemDetails(BY_SLUG["invalid-parameter"], "a parameter is not of the form it must have", {}, errors)
    return ProblemDetails(BY_SLUG["malformed-request"], "this request needs a body")


def _extras(error: ValidationException) -> list[dict[str, Any]]:
    return [extra for extra in error.extra if isinstance(extra, dict)] if isinstance(error.extra, list) else []
