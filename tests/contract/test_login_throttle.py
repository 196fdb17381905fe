from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from smp.application.errors import TooManyAttempts
from tests.support.builders import NOW, TICK
from tests.support.storage import Storage
from tests.support.waiting import all_at_once

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


async def attempts(
    storage: Storage, count: int, account: str = "ann", source: str = "1.2.3.4", at: datetime = NOW
) -> None:
    """So many attempts that are let through, at one instant."""
    for _ in range(count):
        await storage.throttle.attempt(account, source, at)


async def wait_s(storage: Storage, account: str = "ann", source: str = "1.2.3.4", at: datetime = NOW) -> int:
    """How long an attempt is told to wait."""
    with pytest.raises(TooManyAttempts) as caught:
        await storage.throttle.attempt(account, source, at)
    return caught.value.retry_after_s


async def from_many_sources(storage: Storage, count: int, at: datetime = NOW) -> None:
    """So many attempts on one account, each from a source of its own."""
    for number in range(count):
        await storage.throttle.attempt("ann", f"source {number} at {at}", at)


async def on_many_accounts(storage: Storage, count: int, at: datetime = NOW) -> None:
    """So many attempts from one source, each on an account of its own."""
    for number in range(count):
        await storage.throttle.attempt(f"account {number} at {at}", "1.2.3.4", at)


async def test_an_account_has_ten_attempts(storage: Storage) -> None:
    """From wherever they come; then it waits half a minute, to the microsecond, told in whole seconds."""
    await from_many_sources(storage, 10)
    assert await wait_s(storage) == 30
    assert await wait_s(storage, at=NOW + SECOND) == 29
    assert await wait_s(storage, at=NOW + SECOND + TICK) == 29
    assert await wait_s(storage, at=NOW + 30 * SECOND - TICK) == 1
    await storage.throttle.attempt("ann", "1.2.3.4", NOW + 30 * SECOND)


async def test_an_account_that_goes_on_waits_twice_as_long(storage: Storage) -> None:
    """With each attempt after a wait, up to an hour."""
    await attempts(storage, 10)
    at, wait = NOW, 30
    for doubled in (60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600):
        at += wait * SECOND
        await attempts(storage, 1, at=at)
        assert await wait_s(storage, at=at) == doubled
        wait = doubled


async def test_an_attempt_that_is_refused_is_not_counted(storage: Storage) -> None:
    """Neither for the account nor for the source: knocking does not make the wait longer."""
    await attempts(storage, 10)
    for _ in range(200):
        await wait_s(storage)
    await attempts(storage, 1, at=NOW + 30 * SECOND)
    assert await wait_s(storage, at=NOW + 30 * SECOND) == 60
    await attempts(storage, 10, account="bob")


async def test_an_account_is_forgotten_after_a_day_of_quiet(storage: Storage) -> None:
    """Counted from the last attempt that was let through."""
    await from_many_sources(storage, 9)
    await attempts(storage, 1, at=NOW + 24 * HOUR - TICK)
    assert await wait_s(storage, at=NOW + 24 * HOUR) == 30
    await attempts(storage, 9, at=NOW + 48 * HOUR)
    await attempts(storage, 1, at=NOW + 48 * HOUR)
    assert await wait_s(storage, at=NOW + 48 * HOUR) == 30


async def test_a_source_has_a_hundred_attempts(storage: Storage) -> None:
    """On whatever accounts; then it waits, twice as long each time, up to a quarter of an hour."""
    await on_many_accounts(storage, 100)
    at, wait = NOW, 30
    assert await wait_s(storage) == 30
    for doubled in (60, 120, 240, 480, 900):
        at += wait * SECOND
        await on_many_accounts(storage, 1, at=at)
        assert await wait_s(storage, at=at) == doubled
        wait = doubled
    await storage.throttle.attempt("ann", "5.6.7.8", at)
    # The longest wait is as long as the quiet after which a source is forgotten.
    await on_many_accounts(storage, 100, at=at + 900 * SECOND)
    assert await wait_s(storage, at=at + 900 * SECOND) == 30


async def test_a_source_is_forgotten_after_a_quarter_of_an_hour_of_quiet(storage: Storage) -> None:
    """At 15 minutes exactly."""
    await on_many_accounts(storage, 99)
    await on_many_accounts(storage, 1, at=NOW + 15 * MINUTE - TICK)
    assert await wait_s(storage, "eve", at=NOW + 15 * MINUTE) == 30
    await on_many_accounts(storage, 99, at=NOW + 30 * MINUTE)
    await storage.throttle.attempt("eve", "1.2.3.4", NOW + 30 * MINUTE)


async def test_accounts_and_sources_are_counted_apart(storage: Storage) -> None:
    """An account and a source of one name are two things, and every name is its own, whatever is in it."""
    odd = ["", "ann", "ANN", "ann ", "'; --", "é", "\U0001f600" * 60, "x" * 254]
    for name in odd:
        await attempts(storage, 9, account=name, source=name)
    for name in odd:
        await attempts(storage, 1, account=name, source=name)
        assert await wait_s(storage, name, name) == 30
        await storage.throttle.attempt(f"another {name}", name, NOW)


async def test_the_longer_of_two_waits_is_told(storage: Storage) -> None:
    """Where account and source have to wait."""
    await on_many_accounts(storage, 90)
    await attempts(storage, 10, at=NOW + SECOND)
    await attempts(storage, 1, at=NOW + 31 * SECOND)
    await on_many_accounts(storage, 0)
    assert await wait_s(storage, at=NOW + 31 * SECOND) == 60


async def test_success_forgets_the_account(storage: Storage) -> None:
    """Even where it was the last attempt that was free."""
    await attempts(storage, 10)
    await storage.throttle.succeeded("ann", "1.2.3.4")
    await attempts(storage, 10)
    assert await wait_s(storage) == 30


async def test_success_is_not_held_against_the_source(storage: Storage) -> None:
    """Many people behind one address sign in as often as they like; the failures of others from there stay."""
    for number in range(150):
        await storage.throttle.attempt(f"account {number}", "1.2.3.4", NOW)
        await storage.throttle.succeeded(f"account {number}", "1.2.3.4")
    await on_many_accounts(storage, 99)
    await storage.throttle.attempt("ann", "1.2.3.4", NOW)
    await storage.throttle.succeeded("ann", "1.2.3.4")
    await storage.throttle.attempt("ann", "1.2.3.4", NOW)
    assert await wait_s(storage, "bob") == 30


async def test_an_attempt_that_was_not_judged_is_withdrawn(storage: Storage) -> None:
    """From both counts; what failed before stays."""
    await attempts(storage, 9)
    await attempts(storage, 1)
    await storage.throttle.cancel("ann", "1.2.3.4")
    await attempts(storage, 1)
    assert await wait_s(storage) == 30
    await on_many_accounts(storage, 89)
    await storage.throttle.cancel("account 0 at " + str(NOW), "1.2.3.4")
    await storage.throttle.attempt("bob", "1.2.3.4", NOW)
    await storage.throttle.attempt("bob", "1.2.3.4", NOW)
    assert await wait_s(storage, "bob") == 30


async def test_there_may_be_nothing_to_take_off(storage: Storage) -> None:
    """RetentionCleanup may have come by: no count falls below nothing."""
    for _ in range(3):
        await storage.throttle.cancel("ann", "1.2.3.4")
        await storage.throttle.succeeded("ann", "1.2.3.4")
    await attempts(storage, 10)
    assert await wait_s(storage) == 30


async def test_parallel_attempts_cannot_outrun_the_count(storage: Storage) -> None:
    """Of thirty at once exactly ten are let through."""
    results = await all_at_once(*(storage.throttle.attempt("ann", f"source {n}", NOW) for n in range(30)))
    assert results.count(None) == 10
    assert all(result is None or isinstance(result, TooManyAttempts) for result in results)
