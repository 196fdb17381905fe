"""The body of a request as its model: decoded once, after the caller is known, for the handler to take."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final, TypeVar

from litestar.connection import Request

from smp.adapters.http.middleware.body import BODY
from smp.adapters.http.operation import Operation
from smp.adapters.http.problems.rejection import RequestRejected
from smp.adapters.http.validation import convert
from smp.adapters.http.wire import RequestModel

Model = TypeVar("Model", bound=RequestModel)

_MODEL: Final = "model"


def decode_body(operation: Operation, state: MutableMapping[str, Any]) -> None:
    """Convert the parsed body of the request, in the state of its scope, to the operation's model.

    Raises:
        RequestRejected: where the body is missing, or has values that are not allowed.
    """
    if operation.request is None:
        return
    if BODY in state:
        state[_MODEL] = convert(operation.request, state[BODY])
    elif operation.request_optional:
        state[_MODEL] = operation.request()
    else:
        raise RequestRejected("malformed-request", "this request needs a body")


def body_of(request: Request[Any, Any, Any], model: type[Model]) -> Model:
    """Return the body of a request whose operation has this model."""
    body = request.scope["state"][_MODEL]
    if not isinstance(body, model):
        raise TypeError(f"the operation has {type(body).__name__}, not {model.__name__}")
    return body
