from __future__ import annotations

from datetime import timedelta

import pytest

from smp.application.attempt_limits import REGISTRATION_LIMIT, Attempts
from smp.application.errors import TooManyRegistrations
from tests.support.builders import NOW, TICK
from tests.support.storage import Storage
from tests.support.waiting import all_at_once

MINUTE = timedelta(minutes=1)


async def is_allowed(storage: Storage, source: str = "1.2.3.4") -> bool:
    try:
        await storage.registrations.attempt(source)
    except TooManyRegistrations:
        return False
    return True


async def test_a_source_may_register_30_accounts_and_then_has_to_wait(storage: Storage) -> None:
    assert [await is_allowed(storage) for _ in range(32)] == [True] * 30 + [False] * 2
    assert await is_allowed(storage, "5.6.7.8")
    with pytest.raises(TooManyRegistrations) as refused:
        await storage.registrations.attempt("1.2.3.4")
    assert 0 < refused.value.retry_after_s <= 900


async def test_of_40_parallel_registrations_from_a_source_30_are_allowed(storage: Storage) -> None:
    assert (await all_at_once(*(is_allowed(storage) for _ in range(40)))).count(True) == 30


async def test_registrations_and_sign_ins_of_a_source_are_counted_apart(storage: Storage) -> None:
    for _ in range(30):
        assert await is_allowed(storage)
    await storage.throttle.attempt("ann", "1.2.3.4", NOW)
    await storage.throttle.succeeded("ann", "1.2.3.4")
    assert not await is_allowed(storage)


@pytest.mark.parametrize(
    ("since_start", "wait_s"), [(timedelta(0), 900), (TICK, 900), (MINUTE, 840), (15 * MINUTE - TICK, 1), (-TICK, 0)]
)
def test_the_wait_ends_15_minutes_after_the_first_registration_of_the_window(
    since_start: timedelta, wait_s: int
) -> None:
    attempts = Attempts(30, NOW)
    assert REGISTRATION_LIMIT.wait_s(attempts, NOW + since_start) == wait_s
    assert REGISTRATION_LIMIT.wait_s(attempts, NOW + 15 * MINUTE) == 0
    assert REGISTRATION_LIMIT.counted(attempts, NOW + 15 * MINUTE) == Attempts(1, NOW + 15 * MINUTE)
    assert REGISTRATION_LIMIT.counted(Attempts(7, NOW), NOW + MINUTE) == Attempts(8, NOW)
