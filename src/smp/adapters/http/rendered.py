"""A response before the framework sends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from litestar.response import Response

REPLAYED: Final[Mapping[str, str]] = MappingProxyType({"idempotency-replayed": "true"})
"""The header of an answer that was given before to the same Idempotency-Key."""


@dataclass(frozen=True, slots=True)
class RenderedResponse:
    """Status, headers and the bytes of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def respond(rendered: RenderedResponse) -> Response[bytes]:
    """The response as Litestar sends it."""
    headers = dict(rendered.headers)
    media_type = headers.pop("content-type", "application/json")
    return Response(content=rendered.body, status_code=rendered.status, headers=headers, media_type=media_type)
