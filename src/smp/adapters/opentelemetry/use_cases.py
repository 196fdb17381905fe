"""A span for each use case: what happened between a request and its statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import Span, StatusCode, Tracer, get_current_span

from smp.application.errors import ApplicationError, TooManyAttempts, Unavailable
from smp.application.ports.use_case_tracer import UseCaseTracer
from smp.domain.errors import DomainError


class OpenTelemetryUseCaseTracer(UseCaseTracer):
    """Spans that hold the use case's name and, where it refuses, the type of the refusal.

    Nothing of the command, the result or the refusal's text gets into the span: they hold passwords and addresses.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """A span of this name, unless the request around it is not sampled."""
        around = get_current_span()
        if around.get_span_context().is_valid and not around.is_recording():
            yield
            return
        with self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
            try:
                yield
            except Exception as error:
                _record(span, error)
                raise


def _record(span: Span, error: Exception) -> None:
    """A refusal is a result like others; not being able to answer is an error."""
    span.set_attribute(ERROR_TYPE, type(error).__name__)
    is_refusal = isinstance(error, DomainError | ApplicationError)
    if not is_refusal or (isinstance(error, Unavailable) and not isinstance(error, TooManyAttempts)):
        span.set_status(StatusCode.ERROR)
