from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from smp.application.attempt_limits import ACCOUNT_LIMIT
from smp.application.caller import ANONYMOUS, OPERATOR
from smp.application.commands.log_in import LogIn
from smp.application.errors import InvalidCredentials, TooManyAttempts
from smp.application.jobs.purge_expired import PurgeExpired
from tests.support.builders import NOW, TICK, a_user
from tests.support.storage import Storage
from tests.support.use_cases import UseCases
from tests.support.waiting import all_at_once

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


async def attempts(
    storage: Storage, count: int, account: str = "ann", source: str = "1.2.3.4", at: datetime = NOW
) -> None:
    """Make this many attempts at one instant, which must all be allowed."""
    for _ in range(count):
        await storage.throttle.attempt(account, source, at)


async def wait_s(storage: Storage, account: str = "ann", source: str = "1.2.3.4", at: datetime = NOW) -> int:
    """Make an attempt that must be refused; return its wait."""
    with pytest.raises(TooManyAttempts) as caught:
        await storage.throttle.attempt(account, source, at)
    return caught.value.retry_after_s


async def from_many_sources(storage: Storage, count: int, at: datetime = NOW) -> None:
    """Make this many attempts on one account, each from another source."""
    for number in range(count):
        await storage.throttle.attempt("ann", f"source {number} at {at}", at)


async def on_many_accounts(storage: Storage, count: int, at: datetime = NOW) -> None:
    """Make this many attempts from one source, each on another account."""
    for number in range(count):
        await storage.throttle.attempt(f"account {number} at {at}", "1.2.3.4", at)


async def test_after_ten_failed_attempts_an_account_has_to_wait_30_seconds(storage: Storage) -> None:
    """Attempts from all sources count. The wait ends exactly after 30 seconds."""
    await from_many_sources(storage, 10)
    assert await wait_s(storage) == 30
    assert await wait_s(storage, at=NOW + SECOND) == 29
    assert await wait_s(storage, at=NOW + SECOND + TICK) == 29
    assert await wait_s(storage, at=NOW + 30 * SECOND - TICK) == 1
    await storage.throttle.attempt("ann", "1.2.3.4", NOW + 30 * SECOND)


async def test_each_further_attempt_on_an_account_doubles_the_wait_up_to_an_hour(storage: Storage) -> None:
    await attempts(storage, 10)
    at, wait = NOW, 30
    for doubled in (60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600):
        at += wait * SECOND
        await attempts(storage, 1, at=at)
        assert await wait_s(storage, at=at) == doubled
        wait = doubled


async def test_a_refused_attempt_does_not_make_the_wait_longer(storage: Storage) -> None:
    await attempts(storage, 10)
    for _ in range(200):
        await wait_s(storage)
    await attempts(storage, 1, at=NOW + 30 * SECOND)
    assert await wait_s(storage, at=NOW + 30 * SECOND) == 60
    await attempts(storage, 10, account="bob")


async def test_an_account_starts_from_zero_a_day_after_its_last_allowed_attempt(storage: Storage) -> None:
    await from_many_sources(storage, 9)
    await attempts(storage, 1, at=NOW + 24 * HOUR - TICK)
    assert await wait_s(storage, at=NOW + 24 * HOUR) == 30
    await attempts(storage, 9, at=NOW + 48 * HOUR)
    await attempts(storage, 1, at=NOW + 48 * HOUR)
    assert await wait_s(storage, at=NOW + 48 * HOUR) == 30


async def test_after_thirty_attempts_a_source_has_to_wait_up_to_15_minutes(storage: Storage) -> None:
    """Attempts on all accounts count; each further one doubles the wait."""
    await on_many_accounts(storage, 30)
    at, wait = NOW, 30
    assert await wait_s(storage) == 30
    for doubled in (60, 120, 240, 480, 900):
        at += wait * SECOND
        await on_many_accounts(storage, 1, at=at)
        assert await wait_s(storage, at=at) == doubled
        wait = doubled
    await storage.throttle.attempt("ann", "5.6.7.8", at)
    # The longest wait is as long as the quiet after which a source is forgotten.
    await on_many_accounts(storage, 30, at=at + 900 * SECOND)
    assert await wait_s(storage, at=at + 900 * SECOND) == 30


async def test_a_source_starts_from_zero_after_15_minutes_without_attempts(storage: Storage) -> None:
    await on_many_accounts(storage, 29)
    await on_many_accounts(storage, 1, at=NOW + 15 * MINUTE - TICK)
    assert await wait_s(storage, "eve", at=NOW + 15 * MINUTE) == 30
    await on_many_accounts(storage, 29, at=NOW + 30 * MINUTE)
    await storage.throttle.attempt("eve", "1.2.3.4", NOW + 30 * MINUTE)


async def test_an_account_and_a_source_of_the_same_name_are_counted_separately(storage: Storage) -> None:
    odd = ["", "ann", "ANN", "ann ", "'; --", "é", "\U0001f600" * 60, "x" * 254]
    for name in odd:
        await attempts(storage, 9, account=name, source=name)
    for name in odd:
        await attempts(storage, 1, account=name, source=name)
        assert await wait_s(storage, name, name) == 30
        await storage.throttle.attempt(f"another {name}", name, NOW)


async def test_the_longer_wait_of_account_and_source_applies(storage: Storage) -> None:
    await on_many_accounts(storage, 19)
    await attempts(storage, 10, at=NOW + SECOND)
    await attempts(storage, 1, at=NOW + 31 * SECOND)
    await on_many_accounts(storage, 0)
    assert await wait_s(storage, at=NOW + 31 * SECOND) == 60


async def test_a_successful_login_resets_the_account(storage: Storage) -> None:
    await attempts(storage, 10)
    await storage.throttle.succeeded("ann", "1.2.3.4")
    await attempts(storage, 10)
    assert await wait_s(storage) == 30


async def test_a_successful_login_does_not_count_for_the_source(storage: Storage) -> None:
    """Many people may share one address; the failed attempts from there still count."""
    for number in range(150):
        await storage.throttle.attempt(f"account {number}", "1.2.3.4", NOW)
        await storage.throttle.succeeded(f"account {number}", "1.2.3.4")
    await on_many_accounts(storage, 29)
    await storage.throttle.attempt("ann", "1.2.3.4", NOW)
    await storage.throttle.succeeded("ann", "1.2.3.4")
    await storage.throttle.attempt("ann", "1.2.3.4", NOW)
    assert await wait_s(storage, "bob") == 30


async def test_an_attempt_whose_password_was_not_checked_does_not_count(storage: Storage) -> None:
    await attempts(storage, 9)
    await attempts(storage, 1)
    await storage.throttle.cancel("ann", "1.2.3.4")
    await attempts(storage, 1)
    assert await wait_s(storage) == 30
    await on_many_accounts(storage, 19)
    await storage.throttle.cancel("account 0 at " + str(NOW), "1.2.3.4")
    await storage.throttle.attempt("bob", "1.2.3.4", NOW)
    await storage.throttle.attempt("bob", "1.2.3.4", NOW)
    assert await wait_s(storage, "bob") == 30


async def test_a_count_never_falls_below_zero(storage: Storage) -> None:
    """The purge job may have deleted the row."""
    for _ in range(3):
        await storage.throttle.cancel("ann", "1.2.3.4")
        await storage.throttle.succeeded("ann", "1.2.3.4")
    await attempts(storage, 10)
    assert await wait_s(storage) == 30


async def test_of_thirty_parallel_attempts_exactly_ten_are_allowed(storage: Storage) -> None:
    results = await all_at_once(*(storage.throttle.attempt("ann", f"source {n}", NOW) for n in range(30)))
    assert results.count(None) == 10
    assert all(result is None or isinstance(result, TooManyAttempts) for result in results)


@pytest.mark.parametrize("moved", [timedelta(0), timedelta(days=365)])
async def test_a_test_clock_that_stands_or_moves_does_not_change_how_long_an_account_is_throttled(
    storage: Storage, use_cases: UseCases, moved: timedelta
) -> None:
    """The throttle counts real time, and counts that have expired by it are purged, no others."""
    await storage.keep(ann := a_user("ann@example.com"))
    await storage.set_clock(NOW)
    for number in range(ACCOUNT_LIMIT.burst):
        with pytest.raises(InvalidCredentials):
            await use_cases(LogIn(ann.email.text, "wrong", f"192.0.2.{number}"), ANONYMOUS)
    await storage.set_clock(NOW + moved)
    await use_cases(PurgeExpired(), OPERATOR)
    with pytest.raises(TooManyAttempts) as refusal:
        await use_cases(LogIn(ann.email.text, "wrong", "192.0.2.99"), ANONYMOUS)
    storage.real_time.instant = NOW + timedelta(seconds=refusal.value.retry_after_s)
    with pytest.raises(InvalidCredentials):
        await use_cases(LogIn(ann.email.text, "wrong", "192.0.2.99"), ANONYMOUS)
