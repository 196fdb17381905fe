"""The expiry job, and setting the test clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from types import MappingProxyType
from uuid import UUID

import pytest

from smp.adapters.memory.clock import MemoryClock
from smp.adapters.memory.store import MemoryStore
from smp.adapters.memory.subscription_repository import MemorySubscriptionRepository
from smp.adapters.memory.unit_of_work import MemoryUnitOfWork, MemoryUnitOfWorkFactory
from smp.application import expiry
from smp.application.caller import OPERATOR
from smp.application.commands.set_test_clock import SetTestClock
from smp.application.errors import StorageUnavailable, TransactionConflict
from smp.application.expiry import ExpiryOutcome, ExpiryRun
from smp.application.idempotency import IdempotencyKey
from smp.application.jobs.expire_due_subscriptions import ExpireDueSubscriptions
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.domain.errors import ClockCannotGoBack, ValidationError
from smp.domain.events import SYSTEM
from smp.domain.subscription.lifecycle import Status
from smp.domain.subscription.subscription import Subscription
from tests.support.builders import (
    DAY,
    NOW,
    TICK,
    a_plan,
    a_trial,
    a_user,
    an_active,
    some_metadata,
    some_terms,
)
from tests.support.refusals import refused
from tests.support.storage import Storage
from tests.support.use_cases import UseCases

TRIAL_END = NOW + 14 * DAY
SWEEP = ExpireDueSubscriptions()


async def keep_trials(storage: Storage, count: int) -> list[Subscription]:
    """Store trials of this many users, all ending at one instant."""
    plan = a_plan()
    users = [a_user(f"user-{number}@example.com") for number in range(count)]
    trials = [a_trial(user, plan) for user in users]
    await storage.keep(plan, *users, *trials)
    return trials


def statuses(store: MemoryStore) -> list[Status]:
    """Return the written status of each subscription."""
    return [subscription.status for subscription in store.state.subscriptions.values()]


async def test_the_job_changes_nothing_before_the_first_end(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """On an empty platform too."""
    before = store.state
    assert await use_cases(SWEEP, OPERATOR) == ExpiryOutcome()
    assert store.state == before
    await keep_trials(storage, 1)
    await use_cases.set_clock(TRIAL_END - TICK)
    before = store.state
    assert (await use_cases(SWEEP, OPERATOR)).ended == 0
    assert store.state == before


async def test_the_job_ends_overdue_subscriptions_as_of_their_end_with_one_event(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """The actor is the system. The status is cancelled if that was scheduled. A second run finds none."""
    plan, life = a_plan(), a_plan("life", some_terms(period=None))
    users = [a_user(f"user-{number}@example.com") for number in range(4)]
    await storage.keep(plan, life, *users)
    await storage.keep(
        a_trial(users[0], plan),
        an_active(users[1], plan).cancel_at_period_end(some_metadata()),
        an_active(users[2], life),
        an_active(users[3], plan, NOW + 20 * DAY),
    )
    month_end = NOW.replace(month=2, day=28)
    await use_cases.set_clock(month_end + DAY / 2)
    outcome = await use_cases(SWEEP, OPERATOR)
    assert (outcome.expired, outcome.cancelled, outcome.ended, outcome.failed) == (1, 1, 2, set())
    assert statuses(store) == [Status.EXPIRED, Status.CANCELLED, Status.ACTIVE, Status.ACTIVE]
    expired, cancelled = store.events[-2:]
    assert (expired.type, expired.occurred_at, expired.actor) == ("subscription.expired", TRIAL_END, SYSTEM)
    assert (cancelled.type, cancelled.occurred_at, cancelled.actor) == ("subscription.cancelled", month_end, SYSTEM)
    before = store.state
    assert (await use_cases(SWEEP, OPERATOR)).ended == 0
    assert store.state == before


async def test_progress_is_reported_with_every_batch(
    storage: Storage, use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "BATCH_SIZE", 2)
    await keep_trials(storage, 7)
    await use_cases.set_clock(TRIAL_END)
    counts: list[int] = []
    outcome = await use_cases(ExpireDueSubscriptions(lambda so_far: counts.append(so_far.ended)), OPERATOR)
    assert outcome.ended == 7
    assert len(counts) >= 4
    assert counts == sorted(counts)
    assert counts[-1] == 7


async def test_a_damaged_subscription_is_reported_once_and_does_not_stop_the_job(
    store: MemoryStore, storage: Storage, use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "BATCH_SIZE", 3)
    trials = await keep_trials(storage, 7)
    bad = trials[2]
    rows = dict(store.state.subscriptions)
    rows[bad.id] = replace(rows[bad.id], revision=99)  # of no plan: the storage refuses to write it
    store.state = replace(store.state, subscriptions=MappingProxyType(rows))
    await use_cases.set_clock(TRIAL_END)
    outcome = await use_cases(SWEEP, OPERATOR)
    assert (outcome.ended, outcome.failed) == (6, {bad.id})
    assert [subscription_id for subscription_id, _ in use_cases.failures.sweep_failures] == [bad.id]
    assert [row.id for row in store.state.subscriptions.values() if row.status is Status.TRIAL] == [bad.id]


async def test_a_damaged_subscription_in_two_batches_is_reported_once(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """One batch finds it after another one has released it."""
    (bad,) = await keep_trials(storage, 1)
    row = replace(store.state.subscriptions[bad.id], revision=99)
    store.state = replace(store.state, subscriptions=MappingProxyType({bad.id: row}))
    outcome = ExpiryOutcome()
    await use_cases.set_clock(TRIAL_END)
    run = await use_cases.container.get(ExpiryRun)
    for _ in range(2):
        await run._end_all(outcome, SWEEP.progress)
    assert (outcome.ended, outcome.failed) == (0, {bad.id})
    assert len(use_cases.failures.sweep_failures) == 1


class ConflictingRepository(MemorySubscriptionRepository):
    """A repository that raises a conflict for every batch of several rows, and for every write of ``conflicting``."""

    conflicting: UUID | None = None

    async def save_ended(self, ended: Sequence[Subscription]) -> None:
        """Raise a conflict for more than one."""
        if len(ended) > 1:
            raise TransactionConflict
        await super().save_ended(ended)

    async def save(self, subscription: Subscription) -> None:
        """Raise a conflict for that row."""
        if subscription.id == self.conflicting:
            raise TransactionConflict
        await super().save(subscription)


class ConflictingUnitOfWorkFactory(UnitOfWorkFactory):
    """A factory of units of work with that repository."""

    def __init__(self, store: MemoryStore, conflicting: UUID | None = None) -> None:
        self._sound = MemoryUnitOfWorkFactory(store, MemoryClock(store, NOW))
        self._conflicting = conflicting

    @asynccontextmanager
    async def __call__(self, idempotency: IdempotencyKey | None = None) -> AsyncIterator[MemoryUnitOfWork]:
        """Begin a unit of work."""
        async with self._sound(idempotency) as work:
            repository = ConflictingRepository(work._transaction)
            repository.conflicting = self._conflicting
            work._subscriptions = repository
            yield work


async def test_a_batch_that_conflicts_is_repeated_one_by_one(store: MemoryStore, storage: Storage) -> None:
    """Every subscription is ended and counted once."""
    await keep_trials(storage, 5)
    cases = UseCases.over(replace(storage, unit_of_work=ConflictingUnitOfWorkFactory(store)))
    await cases.set_clock(TRIAL_END)
    outcome = await cases(SWEEP, OPERATOR)
    assert (outcome.ended, outcome.failed) == (5, set())
    assert set(statuses(store)) == {Status.EXPIRED}


async def test_a_subscription_that_keeps_conflicting_is_reported_and_does_not_stop_the_job(
    store: MemoryStore, storage: Storage
) -> None:
    trials = await keep_trials(storage, 5)
    factory = ConflictingUnitOfWorkFactory(store, trials[1].id)
    cases = UseCases.over(replace(storage, unit_of_work=factory))
    await cases.set_clock(TRIAL_END)
    outcome = await cases(SWEEP, OPERATOR)
    assert (outcome.ended, outcome.failed) == (4, {trials[1].id})
    assert [subscription_id for subscription_id, _ in cases.failures.sweep_failures] == [trials[1].id]


async def test_an_unavailable_storage_ends_the_job_with_its_error(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """The error is not wrapped in a group of errors."""
    await keep_trials(storage, 2)
    await use_cases.set_clock(TRIAL_END)
    store.fail_next_commit(StorageUnavailable())
    with refused(store, StorageUnavailable):
        await use_cases(SWEEP, OPERATOR)
    assert (await use_cases(SWEEP, OPERATOR)).ended == 2


async def test_setting_the_test_clock_runs_the_expiry_job_unless_it_is_switched_off(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    await keep_trials(storage, 1)
    assert await use_cases(SetTestClock(TRIAL_END, sweep=False), OPERATOR) == TRIAL_END
    assert statuses(store) == [Status.TRIAL]
    assert await use_cases(SetTestClock(TRIAL_END), OPERATOR) == TRIAL_END
    assert statuses(store) == [Status.EXPIRED]
    assert await use_cases.clock.now() == TRIAL_END


async def test_the_test_clock_cannot_be_set_back_or_beyond_the_last_usable_instant(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """The expiry job does not run then."""
    await keep_trials(storage, 1)
    await use_cases.set_clock(TRIAL_END)
    with refused(store, ClockCannotGoBack):
        await use_cases(SetTestClock(TRIAL_END - TICK), OPERATOR)
    with refused(store, ValidationError) as caught:
        await use_cases(SetTestClock(NOW.replace(year=9_999)), OPERATOR)
    assert caught.value.pointer == "/now"
    assert await use_cases.clock.now() == TRIAL_END
