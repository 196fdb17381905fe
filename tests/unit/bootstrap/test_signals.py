"""A stop takes effect at a safe moment, and is never lost."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from smp.bootstrap.signals import Terminated, signal_again, stop_deferred, terminate


@pytest.fixture(autouse=True)
def handled() -> Iterator[None]:
    """Handle SIGTERM as the program does."""
    before = signal.signal(signal.SIGTERM, terminate)
    yield
    signal.signal(signal.SIGTERM, before)


def block_completes_despite(stop: signal.Signals, effect: type[BaseException]) -> bool:
    """Return whether a deferring block ran to its end after the stop arrived in it. The stop takes effect then."""
    done = False

    def run() -> None:
        nonlocal done
        with stop_deferred():
            signal.raise_signal(stop)
            done = True

    with pytest.raises(effect):
        run()
    return done


def test_sigterm_waits_for_the_end_of_the_block() -> None:
    assert block_completes_despite(signal.SIGTERM, Terminated)


def test_ctrl_c_waits_for_the_end_of_the_block() -> None:
    assert block_completes_despite(signal.SIGINT, KeyboardInterrupt)


def test_after_the_block_a_stop_takes_effect_at_once() -> None:
    with stop_deferred():
        pass
    with pytest.raises(Terminated):
        signal.raise_signal(signal.SIGTERM)


def test_a_stop_takes_precedence_over_an_error_of_the_block() -> None:
    def fail() -> None:
        with stop_deferred():
            signal.raise_signal(signal.SIGTERM)
            raise RuntimeError

    with pytest.raises(Terminated):
        fail()


@pytest.mark.parametrize("arrives_in", ["a task", "a callback"])
def test_a_stop_cancels_the_tasks_of_an_event_loop(arrives_in: str) -> None:
    """In a callback too, where an exception would be logged and the loop would continue."""
    cleaned: list[str] = []

    async def work() -> None:
        try:
            if arrives_in == "a callback":
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


def test_a_stop_during_a_callback_of_the_garbage_collector_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", signal_again)
    kept: set[str] = {"something"}

    def collect() -> None:
        watched = frozenset(kept)
        callback = weakref.ref(watched, lambda _: signal.raise_signal(signal.SIGTERM))
        del watched
        assert callback() is None
        time.sleep(60)

    with pytest.raises(Terminated):
        collect()


def test_any_other_uncatchable_exception_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", signal_again)

    def fail(_: object) -> None:
        raise ValueError("lost")

    watched = frozenset(["something"])
    callback = weakref.ref(watched, fail)
    del watched
    assert callback() is None
    assert "ValueError: lost" in capsys.readouterr().err


def test_in_another_thread_the_block_runs_unchanged() -> None:
    ran: list[bool] = []

    def run() -> None:
        with stop_deferred():
            ran.append(signal.getsignal(signal.SIGTERM) is terminate)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert ran == [True]


FORKS = """
import os, signal, sys, time
from smp.bootstrap.signals import reset_stops_in_children

for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: None)
reset_stops_in_children()
for number in (signal.SIGTERM, signal.SIGINT) * 10:
    if (child := os.fork()) == 0:
        time.sleep(60)
        os._exit(0)
    os.kill(child, number)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -number
    signal.raise_signal(number)
"""


def test_a_stop_ends_a_process_that_was_just_forked() -> None:
    """Even if it arrives before the process has its own handlers. The parent keeps its handlers."""
    done = subprocess.run([sys.executable, "-c", FORKS], check=False, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
