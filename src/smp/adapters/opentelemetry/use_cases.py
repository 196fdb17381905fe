"""A span for each use case: what happened between a request and its statements."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import Span, StatusCode, Tracer, get_current_span

from smp.application.errors import ApplicationError, TooManyAttempts, Unavailable
from smp.application.idempotency import DuplicateRequest
from smp.domain.errors import DomainError

Handler = TypeVar("Handler")


def traced(handler: Handler, tracer: Tracer, name: str) -> Handler:
    """The same handler, with a span around every call: the use case's ``name`` and, where it refuses, the refusal's.

    Nothing of the command, the outcome or the refusal's text gets into the span: they hold passwords and addresses.
    ``handler`` is a dataclass that is called with one argument, and so is what comes back.
    """
    kind: Any = type(handler)

    async def call(self: Any, asked: object) -> object:  # noqa: ANN401 - the handler
        around = get_current_span()
        if around.get_span_context().is_valid and not around.is_recording():
            return await kind.__call__(self, asked)  # part of a request that is not kept
        with tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
            try:
                return await kind.__call__(self, asked)
            except Exception as error:
                _tell(span, error)
                raise

    subclass: Any = type(kind.__name__, (kind,), {"__slots__": (), "__call__": call, "__doc__": kind.__doc__})
    copy: Handler = object.__new__(subclass)
    for field in fields(kind):
        object.__setattr__(copy, field.name, getattr(handler, field.name))
    return copy


def _tell(span: Span, error: Exception) -> None:
    """A refusal is an outcome like others; not being able to answer is an error."""
    span.set_attribute(ERROR_TYPE, type(error).__name__)
    is_refusal = isinstance(error, DomainError | ApplicationError | DuplicateRequest)
    if not is_refusal or (isinstance(error, Unavailable) and not isinstance(error, TooManyAttempts)):
        span.set_status(StatusCode.ERROR)
