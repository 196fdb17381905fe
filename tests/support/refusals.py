"""Checks that a rejected use case changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

import pytest

from smp.adapters.memory.store import MemoryStore, State, ThrottleScope
from smp.application.attempt_limits import Attempts

Error = TypeVar("Error", bound=Exception)


@contextmanager
def refused(
    store: MemoryStore, error: type[Error], *, counts_attempt: bool = False
) -> Iterator[pytest.ExceptionInfo[Error]]:
    """Check that the block raises ``error`` and leaves the store unchanged, except for counts of failed logins."""
    before = store.state
    with pytest.raises(error) as caught:
        yield caught
    after = store.state
    assert type(caught.value) is error
    if counts_attempt:
        assert after.attempts != before.attempts
        before, after = _without_attempts(before), _without_attempts(after)
    assert after == before


def _without_attempts(state: State) -> State:
    none: Mapping[tuple[ThrottleScope, str], Attempts] = MappingProxyType({})
    return replace(state, attempts=none)
