from __future__ import annotations

import asyncio
import textwrap
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime

import pytest

import smp.adapters.memory
from smp.adapters.memory.clock import MemoryClock
from smp.adapters.memory.store import MemoryStore
from smp.adapters.memory.unit_of_work import MemoryUnitOfWorkFactory
from smp.adapters.system.id_generator import Uuid7IdGenerator
from smp.application.commands.create_plan import CreatePlan, CreatePlanHandler
from smp.application.errors import StorageUnavailable
from tests.support.builders import ADMIN_CALLER, NOW, a_plan, a_user, an_active, some_terms


def test_the_example_in_the_docstring_of_the_package_works() -> None:
    """The names that it does not define are passed in."""
    text = smp.adapters.memory.__doc__ or ""
    _, _, rest = text.partition("::\n\n")
    example = textwrap.dedent(rest.partition("\n\nReaders")[0])
    names = {
        "CreatePlan": CreatePlan,
        "CreatePlanHandler": CreatePlanHandler,
        "StorageUnavailable": StorageUnavailable,
        "Uuid7IdGenerator": Uuid7IdGenerator,
        "caller": ADMIN_CALLER,
        "terms": some_terms(),
    }
    exec(example, names)  # noqa: S102 - our own docstring
    assert isinstance(names["store"], MemoryStore)
    assert asyncio.run(names["clock"].now()) == datetime(2026, 2, 14, tzinfo=UTC)  # type: ignore[attr-defined]


async def test_the_state_is_immutable() -> None:
    """A state that was read before a change stays as it was."""
    store = MemoryStore()
    before = store.state
    async with MemoryUnitOfWorkFactory(store, MemoryClock(store, NOW))() as work:
        await work.users.add(a_user())
        await work.commit()
    assert before == MemoryStore().state
    assert store.state != before
    with pytest.raises(FrozenInstanceError):
        store.state.users = {}  # type: ignore[misc]
    with pytest.raises(TypeError):
        store.state.users[a_user().id] = a_user()  # type: ignore[index]


async def test_a_store_can_start_from_the_state_of_another() -> None:
    """Their later changes are independent."""
    first = MemoryStore()
    async with MemoryUnitOfWorkFactory(first, MemoryClock(first, NOW))() as work:
        await work.users.add(a_user())
        await work.commit()
    second = MemoryStore(first.state)
    async with MemoryUnitOfWorkFactory(second, MemoryClock(second, NOW))() as work:
        await work.users.add(a_user("bob@example.com"))
        await work.commit()
    assert (len(first.state.users), len(second.state.users)) == (1, 2)


async def test_a_unit_of_work_cannot_be_used_after_its_commit_or_its_block() -> None:
    store = MemoryStore()
    unit_of_work = MemoryUnitOfWorkFactory(store, MemoryClock(store, NOW))
    async with unit_of_work() as work:
        await work.commit()
        with pytest.raises(RuntimeError):
            await work.users.find_by_email("ann@example.com")
        with pytest.raises(RuntimeError):
            await work.commit()
    with pytest.raises(RuntimeError):
        await work.users.add(a_user())


async def test_a_commit_can_be_made_to_fail_once() -> None:
    """It fails with the given error; a second commit of the same transaction is rejected."""
    store = MemoryStore()
    unit_of_work = MemoryUnitOfWorkFactory(store, MemoryClock(store, NOW))
    store.fail_next_commit(StorageUnavailable())
    async with unit_of_work() as work:
        await work.users.add(a_user())
        with pytest.raises(StorageUnavailable):
            await work.commit()
        with pytest.raises(Exception, match="transaction_aborted"):
            await work.commit()
    assert store.state == MemoryStore().state
    async with unit_of_work() as work:
        await work.commit()


async def test_events_are_stored_once_and_not_with_their_aggregate() -> None:
    """They are in the order of their commits."""
    store = MemoryStore()
    ann, plan = a_user(), a_plan()
    active = an_active(ann, plan)
    async with MemoryUnitOfWorkFactory(store, MemoryClock(store, NOW))() as work:
        await work.users.add(ann)
        await work.plans.add(plan)
        await work.subscriptions.add(active)
        await work.commit()
    assert store.events == (*ann.events, *plan.events, *active.events)
    assert store.state.subscriptions[active.id] == replace(active, events=())
    assert store.state.users[ann.id].events == ()
    assert store.state.plans[plan.id].events == ()
