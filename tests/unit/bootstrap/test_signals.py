"""A stop that comes at a bad moment takes effect at a good one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from smp.bootstrap.signals import Terminated, stop_deferred, terminate


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


def test_in_another_thread_nothing_is_deferred_and_nothing_breaks() -> None:
    ran: list[bool] = []

    def run() -> None:
        with stop_deferred():
            ran.append(signal.getsignal(signal.SIGTERM) is terminate)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert ran == [True]
