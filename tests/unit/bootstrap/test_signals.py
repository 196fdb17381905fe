"""A stop that comes at a bad moment takes effect at a good one."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from smp.bootstrap.signals import Terminated, stop_again, stop_deferred, terminate


@pytest.fixture(autouse=True)
def handled() -> Iterator[None]:
    """SIGTERM is handled as in the program."""
    before = signal.signal(signal.SIGTERM, terminate)
    yield
    signal.signal(signal.SIGTERM, before)


def done_in_spite_of(stop: signal.Signals, effect: type[BaseException]) -> bool:
    """Whether a block ran to its end though the stop came in it; the stop has its effect then."""
    done = False

    def run() -> None:
        nonlocal done
        with stop_deferred():
            signal.raise_signal(stop)
            done = True

    with pytest.raises(effect):
        run()
    return done


def test_what_is_in_the_block_is_done_whole() -> None:
    assert done_in_spite_of(signal.SIGTERM, Terminated)


def test_ctrl_c_waits_as_well() -> None:
    assert done_in_spite_of(signal.SIGINT, KeyboardInterrupt)


def test_afterwards_a_stop_takes_effect_at_once() -> None:
    with stop_deferred():
        pass
    with pytest.raises(Terminated):
        signal.raise_signal(signal.SIGTERM)


def test_a_failure_of_the_block_gives_way_to_the_stop() -> None:
    def fail() -> None:
        with stop_deferred():
            signal.raise_signal(signal.SIGTERM)
            raise RuntimeError

    with pytest.raises(Terminated):
        fail()


@pytest.mark.parametrize("comes_in", ["a task", "a callback"])
def test_an_event_loop_is_left_by_way_of_its_tasks(comes_in: str) -> None:
    """Also where the stop comes in a callback: an exception there would be logged, and the loop go on."""
    cleaned: list[str] = []

    async def work() -> None:
        try:
            if comes_in == "a callback":
                asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
            else:
                signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(60)
        finally:
            cleaned.append("work")

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            group.create_task(asyncio.sleep(60))

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(both())
    assert cleaned == ["work"]


def test_a_stop_in_what_the_garbage_collector_calls_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", stop_again)
    kept: set[str] = {"something"}

    def collect() -> None:
        watched = frozenset(kept)
        callback = weakref.ref(watched, lambda _: signal.raise_signal(signal.SIGTERM))
        del watched
        assert callback() is None
        time.sleep(60)

    with pytest.raises(Terminated):
        collect()


def test_whatever_else_nobody_can_catch_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", stop_again)

    def fail(_: object) -> None:
        raise ValueError("lost")

    watched = frozenset(["something"])
    callback = weakref.ref(watched, fail)
    del watched
    assert callback() is None
    assert "ValueError: lost" in capsys.readouterr().err


def test_in_another_thread_nothing_is_deferred_and_nothing_breaks() -> None:
    ran: list[bool] = []

    def run() -> None:
        with stop_deferred():
            ran.append(signal.getsignal(signal.SIGTERM) is terminate)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert ran == [True]
