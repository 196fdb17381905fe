"""One operation of the API: what the guard enforces and what the OpenAPI document says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from smp.adapters.http.wire import RequestModel, ResponseModel
from smp.application.authorization import ANYONE, PERMISSIONS, Permission, authorize
from smp.application.caller import Caller

OPERATION: Final = "operation"
"""The key of the operation in the options of a Litestar handler."""


class NoUseCase(Enum):
    """The type of :data:`NO_USE_CASE`."""

    NO_USE_CASE = auto()


NO_USE_CASE: Final = NoUseCase.NO_USE_CASE
"""The mark of an operation that runs no use case and is for anyone: health, metrics, documentation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The contract of one operation, apart from its method, its path and the types of its query parameters."""

    id: str
    summary: str
    tag: str
    use_case: type[Any] | NoUseCase
    """The command or query; its row in the table of permissions says who may use the operation."""

    description: str = ""
    """What the operation does, if not the docstring of its handler says it."""

    about_caller: bool = False
    """The use case is run for the caller's own user, so the caller must be a user."""

    request: type[RequestModel] | None = None
    """The type of the body."""

    request_optional: bool = False
    """An absent body means the defaults of the type."""

    merge_patch: bool = False
    """The body may be sent as ``application/merge-patch+json`` too."""

    response: type[ResponseModel] | None = None
    """The type of a successful response with a body."""

    status: int = 200
    also: Mapping[int, str] = field(default_factory=dict)
    """Other statuses of success, each with its description."""

    problems: tuple[str, ...] = ()
    """The slugs of the problems that are specific to the operation."""

    etag: bool = False
    """A response carries the version as ``ETag``; a GET takes ``If-None-Match``."""

    if_match: bool = False
    sets_cookie: bool = False
    """A successful response sets or deletes the cookie of the session."""

    idempotent: bool = False
    """A request takes an ``Idempotency-Key``."""

    query: tuple[str, ...] = ()
    """The names of the query parameters."""

    repeatable: tuple[str, ...] = ()
    """Those of them that may be given more than once."""

    @property
    def permission(self) -> Permission:
        """The permission that the operation needs."""
        return ANYONE if self.use_case is NO_USE_CASE else PERMISSIONS[self.use_case]

    @property
    def is_public(self) -> bool:
        """Whether the operation is the same for all callers, so that no caller needs to be authenticated."""
        return self.permission == ANYONE

    def authorize(self, caller: Caller) -> None:
        """Check that the caller may use the operation. Raises NotAuthenticated, Forbidden."""
        if self.use_case is not NO_USE_CASE:
            authorize(caller, self.use_case, caller.user_id if self.about_caller else None)
