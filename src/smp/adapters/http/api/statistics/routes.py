"""The platform in figures, for administrators."""

from __future__ import annotations

from dishka.integrations.litestar import FromDishka
from litestar import get

from smp.adapters.http.api.statistics.schemas import StatisticsOut
from smp.adapters.http.authentication import Who
from smp.application.queries.get_statistics import GetStatistics, GetStatisticsHandler


@get(
    "/v1/statistics",
    operation_id="getStatistics",
    tags=["statistics"],
    summary="Subscriptions, revenue and trials in figures",
    opt={"who": Who.ADMIN},
)
async def get_statistics(handler: FromDishka[GetStatisticsHandler]) -> StatisticsOut:
    """As of this instant, whether or not a sweep came by."""
    return StatisticsOut.of(await handler(GetStatistics()))


ROUTES = (get_statistics,)
