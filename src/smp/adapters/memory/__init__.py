"""Adapters that store everything in memory, for tests of code that uses the use cases.

They fulfil the same contract as the PostgreSQL adapters, including locks and races; one test suite checks both::

    import asyncio
    from datetime import UTC, datetime, timedelta

    from smp.adapters.memory.clock import MemoryClock
    from smp.adapters.memory.store import MemoryStore
    from smp.adapters.memory.unit_of_work import MemoryUnitOfWorkFactory

    store = MemoryStore()
    clock = MemoryClock(store, datetime(2026, 1, 31, tzinfo=UTC))
    unit_of_work = MemoryUnitOfWorkFactory(store, clock)
    create_plan = CreatePlanHandler(unit_of_work, clock, Uuid7IdGenerator())  # any handler of smp.application
    asyncio.run(create_plan(CreatePlan("pro", "Pro", "", terms), caller))
    assert [event.type for event in store.events] == ["plan.created"]


    async def pass_time(now: datetime) -> None:  # time passes only when you set the clock
        async with unit_of_work() as work:
            await work.test_clock.set(now, await work.test_clock.get_for_update())
            await work.commit()


    asyncio.run(pass_time(datetime(2026, 2, 14, tzinfo=UTC)))
    before = store.state  # immutable: compare it to prove that nothing changed
    store.fail_next_commit(StorageUnavailable())  # the next commit raises this and changes nothing

Readers, login throttle, retention cleanup and integrity checker get the same store. Values are immutable, and each
commit replaces the whole state. A transaction without ``commit`` changes nothing.
"""
