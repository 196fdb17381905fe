"""What Prometheus is told, over HTTP."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from dishka.integrations.litestar import FromDishka
from litestar import get
from litestar.response import Response

from smp.adapters.http.authentication import Who


class Exposition(Protocol):
    """All figures at this moment."""

    media_type: str

    @abstractmethod
    def exposition(self) -> bytes:
        """In a format that Prometheus reads, which ``media_type`` names."""


@get(
    "/metrics",
    operation_id="metrics",
    tags=["health"],
    summary="Figures for Prometheus",
    media_type="text/plain",
    opt={"who": Who.ANYONE},
)
async def metrics(figures: FromDishka[Exposition]) -> Response[bytes]:
    """The text format."""
    return Response(content=figures.exposition(), media_type=figures.media_type)
