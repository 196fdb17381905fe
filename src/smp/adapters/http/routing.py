"""Controllers and handlers of Litestar that carry their operations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import litestar
from dishka.integrations.litestar import inject
from litestar import HttpMethod
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.response import Response

from smp.adapters.http.operation import OPERATION, Operation

Handle = Callable[..., Awaitable[Any]]


def route(
    method: HttpMethod, path: str, operation: Operation, *, media_type: str | None = None
) -> Callable[[Handle], HTTPRouteHandler]:
    """Serve the operation with a function or a method of a controller; the container provides its dependencies."""

    def decorate(handle: Handle) -> HTTPRouteHandler:
        return HTTPRouteHandler(
            path,
            http_method=method,
            operation_id=operation.id,
            summary=operation.summary,
            tags=[operation.tag],
            status_code=operation.status,
            media_type=media_type,
            opt={OPERATION: operation},
        )(inject(handle))

    return decorate


def get(path: str, operation: Operation) -> Callable[[Handle], HTTPRouteHandler]:
    """Serve GET."""
    return route(HttpMethod.GET, path, operation)


def post(path: str, operation: Operation) -> Callable[[Handle], HTTPRouteHandler]:
    """Serve POST."""
    return route(HttpMethod.POST, path, operation)


def put(path: str, operation: Operation) -> Callable[[Handle], HTTPRouteHandler]:
    """Serve PUT."""
    return route(HttpMethod.PUT, path, operation)


def patch(path: str, operation: Operation) -> Callable[[Handle], HTTPRouteHandler]:
    """Serve PATCH."""
    return route(HttpMethod.PATCH, path, operation)


def delete(path: str, operation: Operation) -> Callable[[Handle], HTTPRouteHandler]:
    """Serve DELETE."""
    return route(HttpMethod.DELETE, path, operation)


class Controller(litestar.Controller):
    """A group of operations under one path."""

    def get_route_handlers(self) -> list[BaseRouteHandler]:
        """Return the handlers, those of OPTIONS first: Litestar's own would name only the first method of a path."""
        handlers = super().get_route_handlers()
        methods: dict[str, set[str]] = {}
        for handler in handlers:
            if isinstance(handler, HTTPRouteHandler):
                for path in handler.paths:
                    methods.setdefault(path, set()).update(handler.http_methods)
        return [*(_options(self, path, allowed) for path, allowed in methods.items()), *handlers]


def _options(controller: Controller, path: str, methods: set[str]) -> HTTPRouteHandler:
    allow = ", ".join(sorted({*methods, "OPTIONS"}))

    async def options() -> Response[None]:
        return Response(None, headers={"allow": allow})

    handler = HTTPRouteHandler(path, http_method=HttpMethod.OPTIONS, status_code=204, include_in_schema=False)(options)
    handler.owner = controller
    return handler
