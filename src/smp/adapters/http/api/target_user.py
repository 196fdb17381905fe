"""The user whom a path is about: the caller under ``/v1/me``, a named user under ``/v1/users/{user_id}``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final
from uuid import UUID

from litestar.connection import Request
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from smp.adapters.http.authentication import caller_of
from smp.adapters.http.operation import OPERATION, Operation
from smp.adapters.http.parameters import user_id_of
from smp.adapters.http.routing import Controller


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetUser:
    """One of the two ways to name a user."""

    path: str
    is_caller: bool
    user_id: Callable[[Request[Any, Any, Any]], UUID]
    suffix: str = ""
    """Added to the ids of operations."""

    problems: tuple[str, ...] = ()

    def operation(self, operation: Operation) -> Operation:
        """Return the operation as it is for users who are named this way."""
        return replace(
            operation,
            id=f"{operation.id}{self.suffix}",
            about_caller=self.is_caller,
            problems=(*operation.problems, *self.problems),
        )


ME: Final = TargetUser(
    path="/v1/me",
    is_caller=True,
    user_id=lambda request: caller_of(request).user_id,
)
USER: Final = TargetUser(
    path="/v1/users/{user_id:str}",
    is_caller=False,
    suffix="OfUser",
    problems=("user-not-found",),
    user_id=lambda request: user_id_of(request.path_params["user_id"]),
)


class TargetUserController(Controller):
    """A controller that is registered once for each way of naming the user: a subclass says its path and target."""

    target: ClassVar[TargetUser]

    def get_route_handlers(self) -> list[BaseRouteHandler]:
        """Return the handlers, with the operations of this target."""
        handlers = super().get_route_handlers()
        for handler in handlers:
            if isinstance(handler, HTTPRouteHandler) and OPERATION in handler.opt:
                operation = self.target.operation(handler.opt[OPERATION])
                handler.opt[OPERATION] = operation
                handler.operation_id = operation.id
        return handlers
