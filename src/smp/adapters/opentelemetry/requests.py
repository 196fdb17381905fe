"""A span for each request, under the caller's where it has one (W3C Trace Context)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

import structlog
from opentelemetry.context import Context
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
)
from opentelemetry.semconv.attributes.url_attributes import URL_PATH, URL_SCHEME
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

REQUEST_ID: Final = "smp.request_id"

_UNTRACED: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Asked by machines every few seconds: nobody would look at those spans, and everybody would pay for them."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PARENT: Final = frozenset({b"traceparent", b"tracestate"})
_FIRST_SERVER_ERROR: Final = 500


class TracedApp:
    """Around the whole application. The span has the route, the path and the status; no query, header or body."""

    def __init__(self, app: App, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:  # noqa: ANN401 - the server's
        """Serve one ASGI connection."""
        if scope["type"] != "http" or scope["path"] in _UNTRACED:
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracer.start_as_current_span(
            method,
            context=self._parent(scope["headers"]),
            kind=SpanKind.SERVER,
            attributes={HTTP_REQUEST_METHOD: method, URL_PATH: scope["path"], URL_SCHEME: scope.get("scheme", "http")},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            # Every log line of the request has it, beside the request's own id.
            trace_id = format_trace_id(span.get_span_context().trace_id)
            structlog.contextvars.bind_contextvars(trace_id=trace_id)
            try:
                await self._app(scope, receive, noting)
            finally:
                _finish(span, method, scope, status)
                structlog.contextvars.unbind_contextvars("trace_id")

    def _parent(self, headers: Iterable[tuple[bytes, bytes]]) -> Context:
        given = {name.decode(): value.decode("latin-1") for name, value in headers if name in _PARENT}
        return self._propagator.extract(given, Context())


def _finish(span: Span, method: str, scope: Scope, status: int) -> None:
    """What is known of the request only when it is over."""
    route = scope.get("path_template")
    if route:
        span.update_name(f"{method} {route}")
        span.set_attribute(HTTP_ROUTE, route)
    if "smp_request_id" in scope:
        span.set_attribute(REQUEST_ID, scope["smp_request_id"])
    if status:
        span.set_attribute(HTTP_RESPONSE_STATUS_CODE, status)
    if not status or status >= _FIRST_SERVER_ERROR:
        span.set_attribute(ERROR_TYPE, str(status) if status else "no answer")
        span.set_status(StatusCode.ERROR)
