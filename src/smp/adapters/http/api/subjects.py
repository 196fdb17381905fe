"""Whom a path is about: ``me`` is the caller; under ``/v1/users/{user_id}`` administrators act for a user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from litestar.connection import Request

from smp.adapters.http.authentication import Who, caller_of
from smp.adapters.http.parameters import user_id_of


@dataclass(frozen=True, slots=True)
class Subject:
    """One of the two ways to name a user; ``suffix`` tells their operation ids apart."""

    base: str
    who: Who
    suffix: str
    user_id: Callable[[Request[Any, Any, Any]], UUID]
    problems: tuple[str, ...] = ()


ME: Final = Subject("/v1/me", Who.SESSION, "", lambda request: caller_of(request).user_id)
USER: Final = Subject(
    "/v1/users/{user_id:str}",
    Who.ADMIN,
    "OfUser",
    lambda request: user_id_of(request.path_params["user_id"]),
    ("user-not-found",),
)
