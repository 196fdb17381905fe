"""The garbage collector skips objects of the start and collects later ones."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from smp.bootstrap.heap import freeze_startup_objects


class Ring:
    """An object that refers to itself, which only the garbage collector can free."""

    def __init__(self) -> None:
        self.next = self


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_garbage_of_the_start_is_collected_and_all_other_objects_are_skipped() -> None:
    ring = Ring()
    gone = weakref.ref(ring)
    del ring
    freeze_startup_objects()
    assert gone() is None
    assert gc.get_freeze_count() > 1_000


def test_later_garbage_is_collected() -> None:
    freeze_startup_objects()
    ring = Ring()
    gone = weakref.ref(ring)
    del ring
    gc.collect()
    assert gone() is None
    assert gc.isenabled()
