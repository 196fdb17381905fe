"""The races of the contract tests need the locks: without locks each of them fails."""

from __future__ import annotations

from collections.abc import Hashable

import pytest

from smp.adapters.memory.locks import Locks
from smp.adapters.memory.store import MemoryStore
from tests.support.races import RACES, Race
from tests.support.storage import memory_storage


class NoLocks(Locks):
    """Locks that are always free."""

    async def take(self, owner: object, key: Hashable, *, shared: bool = False) -> None:
        """Return at once."""

    def take_if_free(self, owner: object, key: Hashable) -> bool:
        """Return true."""
        return True


@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
async def test_without_locks_the_race_fails(race: Race) -> None:
    """A race that passes without locks would prove nothing."""
    with pytest.raises(AssertionError):
        await race(memory_storage(MemoryStore(locks=NoLocks())))
