"""The races of the contract suite are real: without locks each of them is lost."""

from __future__ import annotations

from collections.abc import Hashable

import pytest

from smp.adapters.memory.locks import Locks
from smp.adapters.memory.store import MemoryStore
from tests.support.races import RACES, Race
from tests.support.storage import memory_storage


class NoLocks(Locks):
    """Gives every lock to everybody."""

    async def take(self, owner: object, key: Hashable, *, shared: bool = False) -> None:
        """Never wait."""

    def take_if_free(self, owner: object, key: Hashable) -> bool:
        """Always free."""
        return True


@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
async def test_without_locks_the_race_is_lost(race: Race) -> None:
    """Where this passes the race, the race shows nothing."""
    with pytest.raises(AssertionError):
        await race(memory_storage(MemoryStore(locks=NoLocks())))
