"""The platform in figures, for administrators."""

from __future__ import annotations

from typing import Any

from dishka.integrations.litestar import FromDishka
from litestar import get
from litestar.connection import Request

from smp.adapters.http.api.statistics.schemas import StatisticsOut
from smp.adapters.http.authentication import Who, caller_of
from smp.application.execution import Handler
from smp.application.queries.get_statistics import GetStatistics
from smp.application.queries.views import StatisticsView


@get(
    "/v1/statistics",
    operation_id="getStatistics",
    tags=["statistics"],
    summary="Subscriptions, revenue and trials in figures",
    opt={"who": Who.ADMIN},
)
async def get_statistics(
    request: Request[Any, Any, Any], handler: FromDishka[Handler[GetStatistics, StatisticsView]]
) -> StatisticsOut:
    """As of this instant, whether or not a sweep came by."""
    return StatisticsOut.of(await handler(GetStatistics(), caller_of(request)))


ROUTES = (get_statistics,)
