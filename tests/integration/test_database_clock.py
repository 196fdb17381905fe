"""One clock for the platform: every process has the time of the database, whatever the clock of its machine says."""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg
import pytest
from dishka import Provider, Scope

from smp.adapters.postgres.clock import REAL_TIME, ROUND_TRIP_MAX_S, DatabaseClock
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.test_clock import PostgresTestClock
from smp.adapters.postgres.transaction import open_transaction
from smp.adapters.system.clock import machine_time
from smp.application.caller import OPERATOR
from smp.application.errors import ClocksDiffer, StorageUnavailable
from smp.application.execution import Handler
from smp.application.expiry import ExpiryOutcome
from smp.application.jobs.expire_due_subscriptions import ExpireDueSubscriptions
from smp.application.jobs.purge_expired import PurgeExpired
from smp.application.ports.retention_cleanup import PurgedRows
from smp.bootstrap.container import build_container
from smp.bootstrap.settings import load_settings
from tests.support.builders import DAY, a_plan, a_session, a_user, an_active
from tests.support.postgres_storage import postgres_storage

SKEW_MAX = timedelta(seconds=5)
CLOSE = timedelta(seconds=3)
"""What the machine of the tests and its own database may differ by, also under load."""


class Machine:
    """A machine whose clock is set, and whose counter of seconds runs as fast as it is told."""

    def __init__(self, ahead: timedelta = timedelta(0)) -> None:
        self.at = machine_time() + ahead
        self.counter = 1_000.0
        self.round_trip_s = 0.001

    def time(self) -> datetime:
        """Return what the clock shows."""
        return self.at

    def counter_s(self) -> float:
        """Return the counter, which runs with every look at it."""
        self.counter += self.round_trip_s
        return self.counter

    def wait(self, passed: timedelta) -> None:
        """Let time pass."""
        self.at += passed
        self.counter += passed.total_seconds()


def clock_of(pool: PostgresPool, machine: Machine) -> DatabaseClock:
    return DatabaseClock(pool, machine.time, SKEW_MAX, machine.counter_s)


@pytest.mark.parametrize("ahead", [DAY, -DAY, timedelta(0)])
async def test_a_process_has_the_time_of_the_database_whatever_its_machine_says(
    pool: PostgresPool, ahead: timedelta
) -> None:
    machine = Machine(ahead)
    clock = clock_of(pool, machine)
    assert abs(await clock.now() - machine_time()) < CLOSE
    async with open_transaction(pool) as transaction:
        assert abs(await REAL_TIME.now_in(transaction) - machine_time()) < CLOSE
    machine.wait(timedelta(seconds=30))
    assert abs(await clock.now() - machine_time() - timedelta(seconds=30)) < CLOSE


@pytest.mark.parametrize("step", [DAY, -DAY])
async def test_setting_the_clock_of_a_machine_changes_no_answer(pool: PostgresPool, step: timedelta) -> None:
    machine = Machine()
    clock = clock_of(pool, machine)
    await clock.confirm()
    machine.at += step
    assert abs(await clock.now() - machine_time()) < CLOSE
    with pytest.raises(ClocksDiffer):
        await clock.confirm()


async def test_the_time_is_measured_again_after_a_machine_has_slept(pool: PostgresPool) -> None:
    """Its counter of seconds stood still meanwhile, and the clock went on."""
    machine = Machine(-DAY)
    clock = clock_of(pool, machine)
    await clock.now()
    machine.counter += 10_000
    assert abs(await clock.now() - machine_time()) < CLOSE


async def test_a_slow_round_trip_measures_nothing(pool: PostgresPool) -> None:
    machine = Machine()
    clock = clock_of(pool, machine)
    machine.round_trip_s = ROUND_TRIP_MAX_S + 0.1
    with pytest.raises(StorageUnavailable):
        await clock.now()
    with pytest.raises(StorageUnavailable):
        await clock.measure()
    machine.round_trip_s = 0.001
    first = await clock.measure()
    machine.round_trip_s = ROUND_TRIP_MAX_S + 0.1
    assert await clock.measure() == first


async def test_half_of_the_round_trip_has_passed_when_the_database_answers(pool: PostgresPool) -> None:
    machine = Machine()
    machine.round_trip_s = 0.4
    half = timedelta(seconds=0.2)

    async def database_time() -> datetime:
        async with open_transaction(pool) as transaction:
            return await REAL_TIME.now_in(transaction)

    before = await database_time()
    measured = machine.at - await clock_of(pool, machine).measure()
    assert before - half <= measured <= await database_time() - half


@pytest.mark.parametrize(("ahead", "said"), [(DAY, "86400.0 s ahead of"), (-DAY, "86400.0 s behind")])
async def test_clocks_that_differ_too_much_are_named(pool: PostgresPool, ahead: timedelta, said: str) -> None:
    clock = clock_of(pool, Machine(ahead))
    with pytest.raises(ClocksDiffer) as refusal:
        await clock.confirm()
    assert said.split(".", maxsplit=1)[0][:3] in str(refusal.value)
    assert said.partition(" s ")[2] in str(refusal.value)
    assert "SMP_CLOCK_SKEW_MAX_S" in str(refusal.value)


async def test_a_difference_within_the_setting_is_corrected_silently(pool: PostgresPool) -> None:
    clock = DatabaseClock(pool, Machine(DAY).time, 2 * DAY)
    await clock.confirm()
    assert abs(await clock.now() - machine_time()) < CLOSE


async def test_the_clocks_of_machines_do_not_matter_where_the_test_clock_is_set(
    pool: PostgresPool, database_url: str
) -> None:
    clock = PostgresTestClock(pool, clock_of(pool, Machine(DAY)))
    assert abs(await clock.now() - machine_time()) < CLOSE
    with pytest.raises(ClocksDiffer):
        await clock.confirm()
    connection = await asyncpg.connect(database_url)
    await connection.execute("INSERT INTO test_clock (only_row, now) VALUES (true, '2030-01-01Z')")
    await connection.close()
    await clock.confirm()
    assert (await clock.now()).year == 2030


@pytest.mark.parametrize("ahead", [40 * DAY, -40 * DAY])
@pytest.mark.parametrize("test_clock", ["0", "1"])
async def test_jobs_on_a_machine_with_a_wrong_clock_refuse_and_change_nothing(
    pool: PostgresPool, database_url: str, ahead: timedelta, test_clock: str
) -> None:
    storage = postgres_storage(pool)
    ann, plan, now = a_user(), a_plan(), machine_time()
    await storage.keep(ann, plan, an_active(ann, plan, now), a_session(ann, at=now))
    wrong = Provider(scope=Scope.APP)
    wrong.provide(lambda: clock_of(pool, Machine(ahead)), provides=DatabaseClock, override=True)
    settings = load_settings({"SMP_DATABASE_URL": database_url, "SMP_TEST_CLOCK": test_clock})
    container = build_container(settings, wrong)
    expire = await container.get(Handler[ExpireDueSubscriptions, ExpiryOutcome])
    purge = await container.get(Handler[PurgeExpired, PurgedRows])
    with pytest.raises(ClocksDiffer):
        await expire(ExpireDueSubscriptions(), OPERATOR)
    with pytest.raises(ClocksDiffer):
        await purge(PurgeExpired(), OPERATOR)
    await container.close()
    assert await storage.subscriptions.current(ann.id, now) is not None
    assert (await storage.event_types()).count("subscription.activated") == 1


async def test_the_expiry_job_asks_the_database_in_its_transaction(pool: PostgresPool, database_url: str) -> None:
    """A machine that is 40 days ahead, and is allowed to be, ends nothing early."""
    storage = postgres_storage(pool)
    ann, plan, now = a_user(), a_plan(), machine_time()
    await storage.keep(ann, plan, an_active(ann, plan, now))
    lax = Provider(scope=Scope.APP)
    lax.provide(lambda: DatabaseClock(pool, Machine(40 * DAY).time, 50 * DAY), provides=DatabaseClock, override=True)
    container = build_container(load_settings({"SMP_DATABASE_URL": database_url}), lax)
    expire = await container.get(Handler[ExpireDueSubscriptions, ExpiryOutcome])
    assert (await expire(ExpireDueSubscriptions(), OPERATOR)).ended == 0
    await container.close()
