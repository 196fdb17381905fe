"""The reader port for statistics."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from smp.application.queries.views import PlanCount, RevisionRevenue, TrialCounts
from smp.domain.subscription.lifecycle import Status


@dataclass(frozen=True, slots=True)
class StatisticsSnapshot:
    """The counts at one instant, from which statistics are computed."""

    users: int
    subscriptions: Mapping[Status, int]
    by_plan: Sequence[PlanCount]
    revenue: Sequence[RevisionRevenue]
    trials: TrialCounts
    ending: int


class StatisticsReader(Protocol):
    """The reader of statistics. Its cost does not grow with the number of ended subscriptions."""

    @abstractmethod
    async def figures(self, now: datetime, ending_before: datetime) -> StatisticsSnapshot:
        """Return all counts at ``now``; ``ending`` counts the live subscriptions that end before ``ending_before``.

        ``by_plan`` has the plans with live subscriptions, sorted by code. ``revenue`` has the revisions with a price, a
        period and active subscriptions.
        """
