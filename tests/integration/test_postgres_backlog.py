"""A backlog larger than an expiry job leaves behind: responses take longer and stay the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import pytest

from smp.adapters.postgres.bulk_loader import PostgresBulkLoader
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.subscription_list import BACKLOG_MAX
from smp.application.caller import OPERATOR
from smp.application.jobs.expire_due_subscriptions import ExpireDueSubscriptions
from smp.application.paging import PageRequest
from smp.application.ports.statistics_reader import StatisticsSnapshot
from smp.application.ports.subscription_reader import SubscriptionFilter
from smp.domain.subscription.lifecycle import Status
from tests.support.builders import DAY, NOW, a_plan, a_trial, a_user, some_metadata
from tests.support.postgres_storage import postgres_storage
from tests.support.storage import Storage
from tests.support.use_cases import UseCases

OVERDUE: Final = BACKLOG_MAX + 50
LATER: Final = NOW + 30 * DAY
PRO: Final = a_plan("pro")


@pytest.fixture
async def storage(pool: PostgresPool) -> Storage:
    """Return a storage with overdue trials; every third one has a scheduled cancellation."""
    storage = postgres_storage(pool)
    await storage.keep(PRO)
    users = [a_user(f"user-{number}@example.com") for number in range(OVERDUE)]
    trials = [a_trial(user, PRO) for user in users]
    trials[::3] = [trial.cancel_at_period_end(some_metadata(NOW)) for trial in trials[::3]]
    await PostgresBulkLoader(pool).load(users, trials)
    await storage.set_clock(LATER)
    return storage


async def pages(storage: Storage, *statuses: Status, plan: str | None = None) -> Sequence[tuple[UUID, Status]]:
    """Return the first two pages of the list."""
    expected = SubscriptionFilter(statuses=frozenset(statuses), plan=plan)
    first = await storage.subscriptions.list(expected, PageRequest(100), LATER)
    second = await storage.subscriptions.list(expected, PageRequest(100, first.next), LATER)
    return [(view.id, view.status) for page in (first, second) for view in page.items]


async def answers(storage: Storage) -> tuple[StatisticsSnapshot, Sequence[Sequence[tuple[UUID, Status]]]]:
    lists = [
        await pages(storage),
        await pages(storage, Status.EXPIRED),
        await pages(storage, Status.CANCELLED, plan="pro"),
        await pages(storage, Status.EXPIRED, Status.CANCELLED),
        await pages(storage, Status.TRIAL),
        await pages(storage, Status.TRIAL, Status.CANCELLED),
    ]
    return await storage.statistics.figures(LATER, LATER + 7 * DAY), lists


async def test_a_late_expiry_job_changes_no_list_and_no_statistics(storage: Storage) -> None:
    figures, lists = await answers(storage)
    assert figures.subscriptions[Status.TRIAL] == 0
    assert figures.subscriptions[Status.CANCELLED] == len(range(0, OVERDUE, 3))
    assert figures.subscriptions[Status.EXPIRED] == OVERDUE - figures.subscriptions[Status.CANCELLED]
    assert [len(found) for found in lists] == [200, 200, 200, 200, 0, 200]
    result = await UseCases.over(storage)(ExpireDueSubscriptions(), OPERATOR)
    assert result.ended == OVERDUE
    assert await answers(storage) == (figures, lists)
