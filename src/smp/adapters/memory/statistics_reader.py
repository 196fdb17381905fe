"""The reader of statistics in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from smp.adapters.memory.store import MemoryStore, State
from smp.application.ports.statistics_reader import StatisticsReader, StatisticsSnapshot
from smp.application.queries.views import PlanCount, RevisionRevenue, TrialCounts
from smp.domain.subscription.lifecycle import LIVE, Status
from smp.domain.subscription.subscription import Subscription


class MemoryStatisticsReader(StatisticsReader):
    """A reader of a store's statistics."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def figures(self, now: datetime, ending_before: datetime) -> StatisticsSnapshot:
        """Return all counts at ``now``; ``ending`` counts the live subscriptions that end before ``ending_before``."""
        state = self._store.state
        rows = [row.as_of(now) for row in state.subscriptions.values()]
        live = [row for row in rows if row.status in LIVE]
        statuses = Counter(row.status for row in rows)
        return StatisticsSnapshot(
            users=len(state.users),
            subscriptions={status: statuses[status] for status in Status},
            by_plan=_by_plan(state, live),
            revenue=_revenue(state, live),
            trials=_trials(state, rows),
            ending=sum(row.ends_at is not None and row.ends_at < ending_before for row in live),
        )


def _by_plan(state: State, live: Sequence[Subscription]) -> Sequence[PlanCount]:
    counts = Counter((state.plans[row.plan_id].code, row.status) for row in live)
    codes = sorted({code for code, _ in counts})
    return [PlanCount(code, counts[code, Status.TRIAL], counts[code, Status.ACTIVE]) for code in codes]


def _revenue(state: State, live: Sequence[Subscription]) -> Sequence[RevisionRevenue]:
    active = Counter((row.plan_id, row.revision) for row in live if row.status is Status.ACTIVE)
    terms = ((state.revisions[key].terms, count) for key, count in sorted(active.items()))
    return [
        RevisionRevenue(term.price, term.period, count)
        for term, count in terms
        if term.period is not None and not term.price.is_free
    ]


def _trials(state: State, rows: Sequence[Subscription]) -> TrialCounts:
    trials = [row for row in rows if row.trial_ends_at is not None]
    return TrialCounts(
        started=len(trials),
        running=sum(row.status is Status.TRIAL for row in trials),
        converted=sum(
            row.converted_at is not None and not state.revisions[row.plan_id, row.revision].terms.price.is_free
            for row in trials
        ),
    )
