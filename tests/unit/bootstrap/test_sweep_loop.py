"""The sweep beside the service: in time, for ever, and gone at once when told."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import structlog

from smp.adapters.memory.store import MemoryStore
from smp.application.errors import StorageUnavailable
from smp.application.expiry import SweepOutcome
from smp.application.ports.id_generator import IdGenerator
from smp.bootstrap import sweep_loop
from smp.bootstrap.sweep_loop import SweepLoop, SweepObserver
from smp.domain.subscription.lifecycle import Status
from smp.domain.subscription.subscription import Subscription
from tests.support.builders import IDS, NOW, a_cause, a_plan, a_user
from tests.support.storage import memory_storage
from tests.support.use_cases import UseCases


class TheSameId(IdGenerator):
    """Always this one."""

    def __init__(self, tail: int) -> None:
        self._id = UUID(int=(1 << 100) + tail)

    def new(self) -> UUID:
        """This one."""
        return self._id


class Turns(SweepObserver):
    """Keeps how many subscriptions each turn ended; None for one that was broken off."""

    def __init__(self) -> None:
        self.ended: list[int | None] = []

    def swept(self, outcome: SweepOutcome) -> None:
        """Keep it."""
        self.ended.append(outcome.ended)

    def failed(self) -> None:
        """Keep that."""
        self.ended.append(None)


class Shop:
    """A platform in memory with one subscription that is due."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.use_cases = UseCases.over(memory_storage(self.store))
        self.user, self.plan = a_user(at=NOW - timedelta(days=60)), a_plan(at=NOW - timedelta(days=60))
        self.turns = Turns()
        self.due = Subscription.activate(IDS.new(), self.user.id, self.plan.revision, a_cause(NOW - timedelta(days=59)))

    async def open(self) -> None:
        """Keep what there is."""
        await self.use_cases.storage.keep(self.user, self.plan, self.due)

    @property
    def status(self) -> Status:
        """What is written of the subscription."""
        return self.store.state.subscriptions[self.due.id].status

    def loop(self, interval_s: float = 0.01) -> SweepLoop:
        """A loop over it."""
        return SweepLoop(self.use_cases.expire, IDS, interval_s, self.turns)


@pytest.fixture
async def shop() -> Shop:
    shop = Shop()
    await shop.open()
    return shop


async def wait_until_swept(shop: Shop) -> None:
    async with asyncio.timeout(5):
        while shop.status is Status.ACTIVE:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(("tail", "pause_s"), [(0, 54.0), (0xFFFF, 66.0)])
def test_a_pause_is_the_interval_give_or_take_a_tenth(tail: int, pause_s: float) -> None:
    loop = SweepLoop(UseCases.over(memory_storage()).expire, TheSameId(tail), 60, Turns())
    assert loop.pause_s() == pytest.approx(pause_s)


def test_pauses_differ_so_that_workers_do_not_march_in_step() -> None:
    loop = SweepLoop(UseCases.over(memory_storage()).expire, IDS, 60, Turns())
    pauses = {loop.pause_s() for _ in range(20)}
    assert len(pauses) > 10
    assert all(54 <= pause <= 66 for pause in pauses)


async def test_it_writes_down_what_time_has_ended(shop: Shop) -> None:
    async with shop.loop().running():
        await wait_until_swept(shop)
    assert shop.status is Status.EXPIRED


async def test_it_first_sweeps_soon_however_long_the_interval(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is restarted more often than it sweeps would never sweep otherwise."""
    monkeypatch.setattr(sweep_loop, "FIRST_PAUSE_S", 0.01)
    async with shop.loop(interval_s=86_400).running():
        await wait_until_swept(shop)


async def test_with_interval_0_it_never_sweeps(shop: Shop) -> None:
    async with shop.loop(interval_s=0).running():
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "sweep"]
        await asyncio.sleep(0.02)
    assert shop.status is Status.ACTIVE


async def test_an_error_costs_one_turn_only(shop: Shop) -> None:
    shop.store.fail_next_commit(StorageUnavailable())
    with structlog.testing.capture_logs() as lines:
        async with shop.loop().running():
            await wait_until_swept(shop)
    assert [line["event"] for line in lines if line["log_level"] == "error"] == [
        "the sweep failed; it will be tried again"
    ]
    assert shop.turns.ended[:2] == [None, 1]


async def test_it_stops_at_once(shop: Shop) -> None:
    async with asyncio.timeout(1):
        async with shop.loop(interval_s=86_400).running():
            await asyncio.sleep(0)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "sweep"]


async def test_a_turn_that_did_something_is_one_line_and_one_that_did_not_is_none(shop: Shop) -> None:
    loop = shop.loop()
    with structlog.testing.capture_logs() as lines:
        await loop.sweep()
        await loop.sweep()
    (line,) = lines
    facts: dict[str, Any] = {name: line[name] for name in ("event", "expired", "cancelled", "failed")}
    assert facts == {"event": "swept", "expired": 1, "cancelled": 0, "failed": 0}
