"""Adapters that keep everything in memory: for the tests of those who build on the use cases.

They keep the same contract as the PostgreSQL adapters (one test suite runs over both), locks and races included::

    import asyncio
    from datetime import UTC, datetime, timedelta

    from smp.adapters.memory.clock import MemoryClock
    from smp.adapters.memory.store import MemoryStore
    from smp.adapters.memory.unit_of_work import MemoryUnitOfWorkFactory

    store, clock = MemoryStore(), MemoryClock(datetime(2026, 1, 31, tzinfo=UTC))
    unit_of_work = MemoryUnitOfWorkFactory(store)
    create_plan = CreatePlanHandler(unit_of_work, clock, Uuid7IdGenerator())  # any handler of smp.application
    asyncio.run(create_plan(CreatePlan("pro", "Pro", "", terms), caller))
    assert [event.type for event in store.events] == ["plan.created"]

    before = store.state  # immutable: compare it to prove that nothing changed
    store.fail_next_commit(StorageUnavailable())  # and be told so
    asyncio.run(clock.set(datetime(2026, 2, 14, tzinfo=UTC)))  # time passes when you say so

Readers, throttle, housekeeping and integrity checker are given the same store. Values are immutable, each commit
replaces the state as a whole, and a transaction that is left without ``commit`` never was.
"""
