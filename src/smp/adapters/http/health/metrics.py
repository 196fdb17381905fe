"""Metrics for Prometheus, over HTTP."""

from __future__ import annotations

from abc import abstractmethod
from typing import Final, Protocol

from dishka.integrations.litestar import FromDishka
from litestar import HttpMethod
from litestar.response import Response

from smp.adapters.http.operation import NO_USE_CASE, Operation
from smp.adapters.http.routing import route


class Exposition(Protocol):
    """All figures at this moment."""

    media_type: str

    @abstractmethod
    def exposition(self) -> bytes:
        """In a format that Prometheus reads, which ``media_type`` names."""


METRICS: Final = Operation(id="metrics", tag="health", summary="Get metrics for Prometheus", use_case=NO_USE_CASE)


@route(HttpMethod.GET, "/metrics", METRICS, media_type="text/plain")
async def metrics(figures: FromDishka[Exposition]) -> Response[bytes]:
    """Return all metrics in the text format of Prometheus."""
    return Response(content=figures.exposition(), media_type=figures.media_type)
