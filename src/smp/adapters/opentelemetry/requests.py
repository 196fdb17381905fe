"""A span for each request, as the HTTP conventions of OpenTelemetry describe it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import structlog
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import HTTP_ROUTE
from opentelemetry.trace import StatusCode, TracerProvider, format_span_id, format_trace_id, get_current_span
from opentelemetry.util.http import sanitize_method

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

REQUEST_ID: Final = "smp.request_id"

_EXCLUDED: Final = "://[^/]+/(health/live|health/ready|metrics)$"
"""URLs that machines request every few seconds."""

PATH_MAX: Final = 1_024
METHOD_MAX: Final = 32
"""How many characters of a path and of a method a span has, as in the log."""

_TRACE_CONTEXT: Final = frozenset({b"traceparent", b"tracestate"})


class TracedApp:
    """Wraps the application; spans have the method, the route, the path and the status of a request.

    The instrumentation gets a copy of the scope without the query, the client's address and the other headers, because
    it would record them. The text of an exception is not recorded either: it may have values in it.
    """

    def __init__(self, app: App, provider: TracerProvider) -> None:
        self._app = app
        self._instrumented = OpenTelemetryMiddleware(
            self._serve,
            excluded_urls=_EXCLUDED,
            default_span_details=lambda scope: (sanitize_method(scope["method"]), {}),
            tracer_provider=provider,
            exclude_spans=["receive", "send"],
        )

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:  # noqa: ANN401 - the server's
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        failures: list[Exception] = []
        headers = [(name, value) for name, value in scope["headers"] if name in _TRACE_CONTEXT]
        visible = {
            **scope,
            "method": scope["method"][:METHOD_MAX],
            "path": scope["path"][:PATH_MAX],
            "headers": headers,
            "query_string": b"",
            "client": None,
            "smp": (scope, failures),
        }
        await self._instrumented(visible, receive, send)
        if failures:
            raise failures[0]

    async def _serve(self, visible: Scope, receive: Any, send: Any) -> None:  # noqa: ANN401 - the server's
        scope, failures = visible["smp"]
        span = get_current_span()

        async def send_with_route(message: Message) -> None:
            # The span ends with the last message of the answer; its route is not known before the first.
            if message["type"] == "http.response.start":
                if "smp_request_id" in scope:
                    span.set_attribute(REQUEST_ID, scope["smp_request_id"])
                if route := scope.get("path_template"):
                    span.update_name(f"{sanitize_method(visible['method'])} {route}")
                    span.set_attribute(HTTP_ROUTE, route)
            await send(message)

        context = span.get_span_context()
        with structlog.contextvars.bound_contextvars(
            trace_id=format_trace_id(context.trace_id), span_id=format_span_id(context.span_id)
        ):
            try:
                await self._app(scope, receive, send_with_route)
            except Exception as error:  # noqa: BLE001 - raised again, outside of the span
                span.set_attribute(ERROR_TYPE, type(error).__name__)
                span.set_status(StatusCode.ERROR)
                failures.append(error)
