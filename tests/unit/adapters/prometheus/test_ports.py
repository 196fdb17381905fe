"""Instrumented ports pass every call on unchanged, and count it."""

from __future__ import annotations

import pytest

from smp.adapters.memory.store import MemoryStore
from smp.adapters.prometheus.metrics import Metrics
from smp.adapters.prometheus.observers import JobMetrics
from smp.adapters.prometheus.ports import (
    InstrumentedLoginThrottle,
    InstrumentedPasswordHasher,
    InstrumentedUnitOfWorkFactory,
)
from smp.application.attempt_limits import ACCOUNT_LIMIT
from smp.application.errors import Overloaded, StorageUnavailable, TooManyAttempts, TransactionConflict
from smp.application.expiry import ExpiryOutcome
from smp.application.idempotency import DuplicateRequest
from smp.application.ports.retention_cleanup import PurgedRows
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.domain.user.user import User
from tests.support.builders import IDS, NOW, a_key, a_user, an_outcome
from tests.support.exposition import Scrape, read
from tests.support.hashing import BusyHasher, InstantHasher
from tests.support.storage import memory_storage


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def scraped(metrics: Metrics) -> Scrape:
    return read(metrics.exposition().decode())


async def add_somebody(units_of_work: UnitOfWorkFactory) -> User:
    async with units_of_work() as work:
        await work.users.add(user := a_user())
        await work.commit()
    return user


async def test_a_conflict_of_transactions_is_counted(metrics: Metrics) -> None:
    """Other errors and successful transactions are not."""
    store = MemoryStore()
    counted = InstrumentedUnitOfWorkFactory(memory_storage(store).unit_of_work, metrics)
    for error in (TransactionConflict(), StorageUnavailable(), TransactionConflict()):
        store.fail_next_commit(error)
        with pytest.raises(type(error)):
            await add_somebody(counted)
    ann = await add_somebody(counted)
    with pytest.raises(ZeroDivisionError):
        async with counted():
            raise ZeroDivisionError
    assert scraped(metrics)("smp_transaction_conflicts_total") == 2
    async with counted() as work:
        assert (await work.users.get(ann.id)).id == ann.id


async def test_a_repeat_of_an_idempotent_request_is_counted(metrics: Metrics) -> None:
    counted = InstrumentedUnitOfWorkFactory(memory_storage().unit_of_work, metrics)
    request = a_key()
    async with counted(request) as work:
        await work.commit(an_outcome())
    for _ in range(2):
        with pytest.raises(DuplicateRequest):
            async with counted(request):
                pytest.fail("it was answered before")
    samples = scraped(metrics)
    assert (samples("smp_idempotent_replays_total"), samples("smp_transaction_conflicts_total")) == (2, 0)


async def test_a_throttled_login_is_counted(metrics: Metrics) -> None:
    """All calls reach the throttle."""
    counted = InstrumentedLoginThrottle(memory_storage().throttle, metrics)
    for _ in range(ACCOUNT_LIMIT.burst):
        await counted.attempt("ann", "127.0.0.1", NOW)
    for _ in range(2):
        with pytest.raises(TooManyAttempts):
            await counted.attempt("ann", "127.0.0.1", NOW)
    assert scraped(metrics)("smp_logins_throttled_total") == 2
    await counted.succeeded("ann", "127.0.0.1")
    await counted.attempt("ann", "127.0.0.1", NOW)
    await counted.cancel("ann", "127.0.0.1")
    assert scraped(metrics)("smp_logins_throttled_total") == 2


async def test_a_password_that_is_refused_because_the_queue_is_full_is_counted(metrics: Metrics) -> None:
    full = InstrumentedPasswordHasher(BusyHasher(), metrics)
    for ask in (full.hash("x"), full.verify(None, "x")):
        with pytest.raises(Overloaded):
            await ask
    assert scraped(metrics)("smp_password_hashes_refused_total") == 2
    burst = InstrumentedPasswordHasher(InstantHasher(), metrics)
    assert (await burst.verify(await burst.hash("x"), "x")).matches
    assert await burst.digest("x", b"salt") == await InstantHasher().digest("x", b"salt")
    assert scraped(metrics)("smp_password_hashes_refused_total") == 2


def test_runs_of_jobs_are_counted_with_what_they_did(metrics: Metrics) -> None:
    jobs = JobMetrics(metrics, {"expire": ExpiryOutcome().counts, "purge": PurgedRows().counts})
    assert scraped(metrics)("smp_job_last_success_timestamp_seconds", job_name="expire") == 0
    jobs.failed("expire", 2.0)
    assert scraped(metrics)("smp_job_last_success_timestamp_seconds", job_name="expire") == 0
    jobs.succeeded("expire", ExpiryOutcome(expired=3, cancelled=2, failed={IDS.new()}).counts, 0.2)
    jobs.succeeded("expire", ExpiryOutcome(expired=1).counts, 0.05)
    samples = scraped(metrics)
    ended = {
        kind: samples("smp_job_items_total", job_name="expire", kind=kind)
        for kind in ("expired", "cancelled", "failed")
    }
    assert ended == {"expired": 4, "cancelled": 2, "failed": 1}
    assert samples("smp_job_runs_total", job_name="expire", outcome="succeeded") == 2
    assert samples("smp_job_runs_total", job_name="expire", outcome="failed") == 1
    assert samples("smp_job_duration_seconds_sum", job_name="expire") == 2.25
    assert samples("smp_job_last_success_timestamp_seconds", job_name="expire") > 1.7e9


def test_the_series_of_a_job_exist_before_its_first_run(metrics: Metrics) -> None:
    JobMetrics(metrics, {"purge": PurgedRows().counts})
    samples = scraped(metrics)
    assert samples("smp_job_runs_total", job_name="purge", outcome="failed") == 0
    assert samples("smp_job_items_total", job_name="purge", kind="sessions") == 0
