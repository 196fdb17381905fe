from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smp.domain.errors import ClockCannotGoBack
from tests.support.builders import DAY, NOW, TICK
from tests.support.storage import Storage

LATER = NOW + 1_000 * DAY


async def test_it_stands_where_it_was_set(storage: Storage) -> None:
    """To the microsecond, and aware that this is UTC."""
    await storage.clock.set(LATER)
    for _ in range(2):
        now = await storage.clock.now()
        assert now == LATER
        assert now.tzinfo is UTC or now.utcoffset() is not None
        assert now.isoformat().endswith("+00:00")


async def test_it_moves_forward_only(storage: Storage) -> None:
    """Not even by the smallest step back; standing still is no move. The refusal tells both instants."""
    await storage.clock.set(LATER)
    with pytest.raises(ClockCannotGoBack) as caught:
        await storage.clock.set(LATER - TICK)
    assert (caught.value.now, caught.value.asked) == (LATER, LATER - TICK)
    assert await storage.clock.now() == LATER
    await storage.clock.set(LATER)
    await storage.clock.set(LATER + TICK)
    assert await storage.clock.now() == LATER + TICK


async def test_before_it_is_set_it_cannot_go_back_either(storage: Storage) -> None:
    """From where it is then."""
    before = await storage.clock.now()
    assert before.utcoffset() is not None
    with pytest.raises(ClockCannotGoBack):
        await storage.clock.set(before - DAY)
    assert await storage.clock.now() >= before


async def test_it_knows_the_last_day(storage: Storage) -> None:
    """The calendar's end is an instant like any other."""
    end = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    await storage.clock.set(end)
    assert await storage.clock.now() == end
