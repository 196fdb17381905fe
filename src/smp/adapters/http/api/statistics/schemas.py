"""Wire types of statistics."""

from __future__ import annotations

from typing import Annotated

import msgspec

from smp.adapters.http.wire import Count, Instant, MoneyOut, ResponseModel
from smp.application.queries.views import StatisticsView
from smp.domain.subscription.lifecycle import Status


class StatusCountsOut(ResponseModel, frozen=True):
    """The number of subscriptions in each status now."""

    trial: Count
    active: Count
    expired: Count
    cancelled: Count


class PlanCountOut(ResponseModel, frozen=True):
    """Live subscriptions of one plan."""

    plan: Annotated[str, msgspec.Meta(description="The plan's code.", examples=["pro"])]
    trial: Count
    active: Count


class TrialsOut(ResponseModel, frozen=True):
    """The number of trials by their result; `lost` are those that ended without a paid subscription."""

    started: Count
    running: Count
    converted: Count
    lost: Count
    conversion_rate: Annotated[
        float | None, msgspec.Meta(description="From 0 to 1; `null` if no trial has ended yet.", examples=[0.75])
    ]


class StatisticsOut(ResponseModel, frozen=True):
    """The platform in figures."""

    as_of: Instant
    users: Count
    subscriptions: StatusCountsOut
    by_plan: list[PlanCountOut]
    mrr: list[MoneyOut]
    trials: TrialsOut
    ending_within_7_days: Count

    @classmethod
    def of(cls, view: StatisticsView) -> StatisticsOut:
        """The figures as they are written."""
        counts, trials = view.subscriptions, view.trials
        return cls(
            view.as_of,
            view.users,
            StatusCountsOut(*(counts.get(status, 0) for status in Status)),
            [PlanCountOut(count.plan, count.trial, count.active) for count in view.by_plan],
            [MoneyOut(revenue.amount, revenue.currency) for revenue in view.mrr],
            TrialsOut(trials.started, trials.running, trials.converted, trials.lost, trials.conversion_rate),
            view.ending_within_7_days,
        )
