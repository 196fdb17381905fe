"""What a process has started with is not looked through by the garbage collector again; what comes after is."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from smp.bootstrap.heap import freeze_startup_objects


class Ring:
    """Refers to itself, so that only the collector finds it."""

    def __init__(self) -> None:
        self.next = self


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_what_is_there_is_left_alone_and_garbage_is_collected_first() -> None:
    ring = Ring()
    gone = weakref.ref(ring)
    del ring
    freeze_startup_objects()
    assert gone() is None
    assert gc.get_freeze_count() > 1_000


def test_what_comes_later_is_collected() -> None:
    freeze_startup_objects()
    ring = Ring()
    gone = weakref.ref(ring)
    del ring
    gc.collect()
    assert gone() is None
    assert gc.isenabled()
