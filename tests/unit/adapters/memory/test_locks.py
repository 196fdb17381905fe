from __future__ import annotations

import asyncio

import pytest

from smp.adapters.memory import locks as locks_module
from smp.adapters.memory.locks import Locks
from smp.application.errors import TransactionConflict
from tests.support.waiting import made_to_wait


async def test_an_exclusive_lock_has_one_owner() -> None:
    """All others wait, even for a shared lock; the owner can take it again."""
    locks = Locks()
    await locks.take("one", "row")
    await locks.take("one", "row")
    await locks.take("one", "row", shared=True)
    assert not locks.take_if_free("other", "row")
    assert locks.take_if_free("one", "row")
    for shared in (True, False):
        async with made_to_wait(locks.take("other", "row", shared=shared)):
            locks.release_all("one")
        locks.release_all("other")
        await locks.take("one", "row")


async def test_a_shared_lock_has_many_owners() -> None:
    """One of them that wants it exclusively waits for all others."""
    locks = Locks()
    for owner in ("one", "two", "three"):
        await locks.take(owner, "row", shared=True)
    assert not locks.take_if_free("one", "row")
    async with made_to_wait(locks.take("one", "row")):
        locks.release_all("two")
        await asyncio.sleep(0)
        locks.release_all("three")
    assert not locks.take_if_free("two", "row")


async def test_locks_of_different_keys_are_independent() -> None:
    """All locks of an owner are released at once."""
    locks = Locks()
    await locks.take("one", ("user", 1))
    await locks.take("one", ("user", 2))
    assert locks.take_if_free("other", ("user", 3))
    locks.release_all("one")
    assert locks.take_if_free("other", ("user", 1))
    assert locks.take_if_free("other", ("user", 2))


async def test_a_deadlock_is_a_transaction_conflict() -> None:
    """Through any number of owners; the others continue."""
    locks = Locks()
    for number in range(3):
        await locks.take(number, number)
    first = asyncio.create_task(locks.take(0, 1))
    second = asyncio.create_task(locks.take(1, 2))
    await asyncio.sleep(0)
    with pytest.raises(TransactionConflict):
        await locks.take(2, 0)
    locks.release_all(2)
    await second
    locks.release_all(1)
    await first


async def test_of_two_owners_that_both_upgrade_a_shared_lock_one_gets_a_conflict() -> None:
    locks = Locks()
    await locks.take("one", "row", shared=True)
    await locks.take("other", "row", shared=True)
    waiting = asyncio.create_task(locks.take("one", "row"))
    await asyncio.sleep(0)
    with pytest.raises(TransactionConflict):
        await locks.take("other", "row")
    locks.release_all("other")
    await waiting


async def test_waiting_for_a_lock_ends_with_a_conflict_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that opens two transactions for one row in one task gets this error instead of hanging."""
    monkeypatch.setattr(locks_module, "WAIT_MAX_S", 0.01)
    locks = Locks()
    await locks.take("one", "row")
    with pytest.raises(TransactionConflict):
        await locks.take("other", "row")
    locks.release_all("one")
    assert locks.take_if_free("third", "row")


async def test_a_task_that_is_cancelled_while_waiting_holds_no_lock() -> None:
    locks = Locks()
    await locks.take("one", "row")
    waiting = asyncio.create_task(locks.take("other", "row"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    locks.release_all("one")
    assert locks.take_if_free("third", "row")
