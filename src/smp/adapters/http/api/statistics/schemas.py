"""Wire types of statistics."""

from __future__ import annotations

from datetime import datetime

from smp.adapters.http.wire import MoneyOut, ResponseModel
from smp.application.queries.views import StatisticsView
from smp.domain.subscription.lifecycle import Status


class StatusCountsOut(ResponseModel, frozen=True):
    """Subscriptions by the status that holds now."""

    trial: int
    active: int
    expired: int
    cancelled: int


class PlanCountOut(ResponseModel, frozen=True):
    """Live subscriptions of one plan."""

    plan: str
    trial: int
    active: int


class TrialsOut(ResponseModel, frozen=True):
    """How the trials went; the rate is ``null`` where none was decided."""

    started: int
    running: int
    converted: int
    lost: int
    conversion_rate: float | None


class StatisticsOut(ResponseModel, frozen=True):
    """The platform in figures."""

    as_of: datetime
    users: int
    subscriptions: StatusCountsOut
    by_plan: list[PlanCountOut]
    mrr: list[MoneyOut]
    trials: TrialsOut
    ending_within_7_days: int

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
