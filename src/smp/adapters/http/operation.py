"""One operation of the API: what the guard enforces and what the OpenAPI document says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from smp.adapters.http.wire import RequestModel, ResponseModel

OPERATION: Final = "operation"
"""The key of the operation in the options of a Litestar handler."""


class RequiredRole(StrEnum):
    """The callers of an operation."""

    ANYONE = "anyone"
    ANYONE_OR_ADMIN = "anyone; administrators see more"
    SESSION = "a signed-in user"
    ADMIN = "an administrator"
    ADMIN_OR_SERVICE = "an administrator or a service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The contract of one operation, apart from its method, its path and the types of its query parameters."""

    id: str
    summary: str
    tag: str
    role: RequiredRole
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
    idempotent: bool = False
    """A request takes an ``Idempotency-Key``."""

    query: tuple[str, ...] = ()
    """The names of the query parameters."""

    repeatable: tuple[str, ...] = ()
    """Those of them that may be given more than once."""
