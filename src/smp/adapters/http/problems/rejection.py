"""The exception of requests that the transport itself refuses."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """One bad field: its JSON pointer (RFC 6901) and what its value must be."""

    pointer: str
    detail: str


class RequestRejected(Exception):
    """A request that is refused before a use case runs; ``slug`` names the row of the table."""

    def __init__(
        self,
        slug: str,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.slug = slug
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
