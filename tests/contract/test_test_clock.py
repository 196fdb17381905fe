"""The test clock moves forward only, and each change of it is an event."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smp.application.caller import OPERATOR
from smp.application.commands.set_test_clock import SetTestClock
from smp.application.errors import TransactionConflict
from smp.application.ports.entitlement_changes import EntitlementChange
from smp.domain.errors import ClockCannotGoBack
from tests.support.builders import ADMIN_CALLER, DAY, NOW, TICK
from tests.support.storage import Storage
from tests.support.use_cases import UseCases
from tests.support.waiting import all_at_once

LATER = NOW + 1_000 * DAY


async def test_the_test_clock_shows_the_instant_to_which_it_was_set(storage: Storage) -> None:
    await storage.set_clock(LATER + TICK)
    for _ in range(2):
        now = await storage.clock.now()
        assert now == LATER + TICK
        assert now.isoformat().endswith("+00:00")


async def test_the_clock_can_show_the_last_day_of_the_calendar(storage: Storage) -> None:
    end = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    await storage.set_clock(end)
    assert await storage.clock.now() == end


async def test_the_clock_moves_forward_only(storage: Storage, use_cases: UseCases) -> None:
    await use_cases(SetTestClock(LATER), OPERATOR)
    with pytest.raises(ClockCannotGoBack) as caught:
        await use_cases(SetTestClock(LATER - TICK), OPERATOR)
    assert (caught.value.now, caught.value.asked) == (LATER, LATER - TICK)
    assert await storage.clock.now() == LATER


async def test_the_clock_cannot_be_set_to_the_past_before_it_is_set(storage: Storage, use_cases: UseCases) -> None:
    before = await storage.clock.now()
    with pytest.raises(ClockCannotGoBack):
        await use_cases(SetTestClock(before - TICK), OPERATOR)
    assert await storage.clock.now() >= before
    assert await storage.event_types() == []


async def test_setting_the_clock_is_an_event_that_concerns_everyone(storage: Storage, use_cases: UseCases) -> None:
    await use_cases(SetTestClock(LATER), ADMIN_CALLER)
    await use_cases(SetTestClock(LATER + DAY), ADMIN_CALLER)
    assert await storage.event_types() == ["test_clock.set"] * 2
    assert storage.notified == [EntitlementChange(everyone=True)] * 2


async def test_setting_the_clock_to_the_instant_it_shows_is_no_event(storage: Storage, use_cases: UseCases) -> None:
    await use_cases(SetTestClock(LATER), OPERATOR)
    storage.notified.clear()
    assert await use_cases(SetTestClock(LATER), OPERATOR) == LATER
    assert await storage.event_types() == ["test_clock.set"]
    assert storage.notified == []


async def test_a_real_clock_that_is_stopped_at_this_instant_is_an_event(storage: Storage, use_cases: UseCases) -> None:
    await use_cases(SetTestClock(await storage.clock.now()), OPERATOR)
    assert await storage.event_types() == ["test_clock.set"]


async def test_the_clock_is_not_set_without_its_event(storage: Storage) -> None:
    before = await storage.clock.now()
    async with storage.unit_of_work() as work:
        await work.test_clock.set(LATER, await work.test_clock.get_for_update())
    assert await storage.clock.now() == before


async def test_a_transaction_that_saw_another_instant_does_not_set_the_clock(storage: Storage) -> None:
    await storage.set_clock(LATER)
    for seen in (None, LATER - TICK):
        async with storage.unit_of_work() as work:
            with pytest.raises(TransactionConflict):
                await work.test_clock.set(LATER + DAY, seen)
    assert await storage.clock.now() == LATER


async def test_simultaneous_changes_of_the_test_clock_only_move_it_forward(
    storage: Storage, use_cases: UseCases
) -> None:
    results = await all_at_once(*(use_cases(SetTestClock(LATER + n * TICK, sweep=False), OPERATOR) for n in range(10)))
    refused = [result for result in results if isinstance(result, ClockCannotGoBack)]
    accepted = [result for result in results if isinstance(result, datetime)]
    assert len(refused) + len(accepted) == len(results)
    assert await storage.clock.now() == max(accepted) == LATER + 9 * TICK
    assert len(await storage.event_types()) == len(accepted)
