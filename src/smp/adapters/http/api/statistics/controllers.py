"""Statistics of the platform, for administrators."""

from __future__ import annotations

from typing import Any

from dishka.integrations.litestar import FromDishka
from litestar.connection import Request

from smp.adapters.http.api.statistics.schemas import StatisticsOut
from smp.adapters.http.authentication import caller_of
from smp.adapters.http.operation import Operation
from smp.adapters.http.routing import Controller, get
from smp.application.execution import Handler
from smp.application.queries.get_statistics import GetStatistics
from smp.application.queries.views import StatisticsView


class StatisticsController(Controller):
    """The controller of statistics."""

    path = "/v1/statistics"

    @get(
        "",
        Operation(
            id="getStatistics",
            response=StatisticsOut,
            tag="statistics",
            summary="Get figures on subscriptions, revenue and trials",
            use_case=GetStatistics,
        ),
    )
    async def get_statistics(
        self, request: Request[Any, Any, Any], handler: FromDishka[Handler[GetStatistics, StatisticsView]]
    ) -> StatisticsOut:
        """Return the figures as of now, also if the expiry job is late. `mrr` is the revenue per month by currency."""
        return StatisticsOut.of(await handler(GetStatistics(), caller_of(request)))


CONTROLLERS = (StatisticsController,)
