from __future__ import annotations

from datetime import timedelta

import pytest

from smp.application.attempt_limits import ACCOUNT_LIMIT, SOURCE_LIMIT, AttemptLimit, Attempts
from tests.support.builders import NOW, TICK

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("left", "told"),
    [(30 * SECOND, 30), (29 * SECOND + TICK, 30), (SECOND, 1), (TICK, 1), (timedelta(0), 0), (-TICK, 0)],
)
def test_a_wait_is_told_in_whole_seconds(left: timedelta, told: int) -> None:
    """Rounded up: who comes back then is let through."""
    known = Attempts(10, NOW, NOW + left)
    assert ACCOUNT_LIMIT.wait_s(known, NOW) == told


def test_what_is_not_known_does_not_wait() -> None:
    """Nor what was never blocked."""
    assert ACCOUNT_LIMIT.wait_s(None, NOW) == 0
    assert ACCOUNT_LIMIT.wait_s(Attempts(9, NOW), NOW) == 0


@pytest.mark.parametrize("limit", [ACCOUNT_LIMIT, SOURCE_LIMIT])
def test_waits_double_up_to_the_longest(limit: AttemptLimit) -> None:
    """However often; no number is too large."""
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
def test_quiet_forgets(limit: AttemptLimit) -> None:
    """After as long exactly."""
    known = Attempts(limit.burst + 5, NOW, NOW + limit.longest_wait)
    assert not limit.is_expired(known, NOW + limit.expires_after - TICK)
    later = NOW + limit.expires_after
    assert limit.is_expired(known, later)
    assert limit.counted(known, later) == Attempts(1, later)


def test_an_attempt_is_taken_off_with_its_block() -> None:
    """The last one leaves nothing."""
    assert AttemptLimit.decremented(Attempts(10, NOW, NOW + SECOND)) == Attempts(9, NOW)
    assert AttemptLimit.decremented(Attempts(1, NOW)) is None


def test_nobody_waits_longer_than_until_it_is_forgotten() -> None:
    """Never for good."""
    for limit in (ACCOUNT_LIMIT, SOURCE_LIMIT):
        assert limit.first_wait <= limit.longest_wait <= limit.expires_after
