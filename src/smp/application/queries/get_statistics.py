"""Get the statistics of the platform."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from math import floor
from typing import Final

from smp.application.caller import Caller
from smp.application.ports.clock import Clock
from smp.application.ports.statistics_reader import StatisticsReader
from smp.application.queries.views import Revenue, RevisionRevenue, StatisticsView

ENDING_WITHIN: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class GetStatistics:
    """The query for the statistics at this instant."""


@dataclass(frozen=True, slots=True)
class GetStatisticsHandler:
    """The handler of :class:`GetStatistics`. All numbers follow from the effective statuses."""

    statistics: StatisticsReader
    clock: Clock

    async def __call__(self, query: GetStatistics, caller: Caller) -> StatisticsView:
        """Return the statistics."""
        now = await self.clock.now()
        figures = await self.statistics.figures(now, now + ENDING_WITHIN)
        return StatisticsView(
            as_of=now,
            users=figures.users,
            subscriptions=figures.subscriptions,
            by_plan=figures.by_plan,
            mrr=monthly_recurring_revenue(figures.revenue),
            trials=figures.trials,
            ending_within_7_days=figures.ending,
        )


def monthly_recurring_revenue(revenue: Sequence[RevisionRevenue]) -> Sequence[Revenue]:
    """Return the monthly recurring revenue for each currency, sorted by currency.

    The sum is exact. It is rounded only once, at the end, and half a minor unit is rounded up.
    """
    totals: dict[str, Fraction] = defaultdict(Fraction)
    for part in revenue:
        totals[part.price.currency] += part.monthly
    rounded = ((currency, floor(total + Fraction(1, 2))) for currency, total in sorted(totals.items()))
    return [Revenue(amount, currency) for currency, amount in rounded]
