"""Counting the platform."""

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
    """The counts that statistics are made of, as of one instant."""

    users: int
    subscriptions: Mapping[Status, int]
    by_plan: Sequence[PlanCount]
    revenue: Sequence[RevisionRevenue]
    trials: TrialCounts
    ending: int


class StatisticsReader(Protocol):
    """The platform in counts; the cost does not grow with the number of ended subscriptions."""

    @abstractmethod
    async def figures(self, now: datetime, ending_before: datetime) -> StatisticsSnapshot:
        """All counts as of ``now``; ``ending`` are the live ones that end before ``ending_before``.

        ``by_plan`` holds the plans with live subscriptions, by code; ``revenue`` the revisions with a price and a
        period that have active ones.
        """
