from __future__ import annotations

from datetime import timedelta

import pytest

from smp.application.attempt_limits import ACCOUNT_LIMIT, SOURCE_LIMIT, AttemptLimit, Attempts
from tests.support.builders import NOW, TICK

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("left", "seconds"),
    [(30 * SECOND, 30), (29 * SECOND + TICK, 30), (SECOND, 1), (TICK, 1), (timedelta(0), 0), (-TICK, 0)],
)
def test_a_wait_is_given_in_whole_seconds_rounded_up(left: timedelta, seconds: int) -> None:
    """A client that returns after that time is not blocked."""
    known = Attempts(10, NOW, NOW + left)
    assert ACCOUNT_LIMIT.wait_s(known, NOW) == seconds


def test_without_a_block_there_is_no_wait() -> None:
    assert ACCOUNT_LIMIT.wait_s(None, NOW) == 0
    assert ACCOUNT_LIMIT.wait_s(Attempts(9, NOW), NOW) == 0


@pytest.mark.parametrize("limit", [ACCOUNT_LIMIT, SOURCE_LIMIT])
def test_each_further_failure_doubles_the_wait_up_to_a_maximum(limit: AttemptLimit) -> None:
    """For any number of failures."""
    waits = []
    for count in (*range(limit.burst + 12), 10**9):
        counted = limit.counted(Attempts(count, NOW), NOW)
        assert counted.count == count + 1
        waits.append(None if counted.blocked_until is None else counted.blocked_until - NOW)
    assert waits[: limit.burst - 1] == [None] * (limit.burst - 1)
    assert waits[limit.burst - 1] == limit.first_wait
    for before, after in zip(waits[limit.burst - 1 :], waits[limit.burst :], strict=False):
        assert before is not None
        assert after == min(2 * before, limit.longest_wait)
    assert waits[-1] == limit.longest_wait


@pytest.mark.parametrize("limit", [ACCOUNT_LIMIT, SOURCE_LIMIT])
def test_attempts_expire_after_a_time_without_attempts(limit: AttemptLimit) -> None:
    known = Attempts(limit.burst + 5, NOW, NOW + limit.longest_wait)
    assert not limit.is_expired(known, NOW + limit.expires_after - TICK)
    later = NOW + limit.expires_after
    assert limit.is_expired(known, later)
    assert limit.counted(known, later) == Attempts(1, later)


def test_removing_an_attempt_removes_its_block() -> None:
    """After the last one, nothing is stored."""
    assert AttemptLimit.decremented(Attempts(10, NOW, NOW + SECOND)) == Attempts(9, NOW)
    assert AttemptLimit.decremented(Attempts(1, NOW)) is None


def test_no_wait_is_longer_than_the_time_after_which_attempts_expire() -> None:
    for limit in (ACCOUNT_LIMIT, SOURCE_LIMIT):
        assert limit.first_wait <= limit.longest_wait <= limit.expires_after
