"""A storage with all adapters over it, for the contract tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from smp.adapters.memory.access_reader import MemoryAccessReader
from smp.adapters.memory.api_key_reader import MemoryApiKeyReader
from smp.adapters.memory.clock import MemoryClock
from smp.adapters.memory.count_folder import MemoryCountFolder
from smp.adapters.memory.integrity import MemoryIntegrityChecker
from smp.adapters.memory.login_throttle import MemoryLoginThrottle
from smp.adapters.memory.plan_reader import MemoryPlanReader
from smp.adapters.memory.registration_throttle import MemoryRegistrationThrottle
from smp.adapters.memory.retention_cleanup import MemoryRetentionCleanup
from smp.adapters.memory.session_activity import MemorySessionActivity
from smp.adapters.memory.session_reader import MemorySessionReader
from smp.adapters.memory.statistics_reader import MemoryStatisticsReader
from smp.adapters.memory.store import MemoryStore
from smp.adapters.memory.subscription_reader import MemorySubscriptionReader
from smp.adapters.memory.unit_of_work import MemoryUnitOfWorkFactory
from smp.adapters.memory.user_reader import MemoryUserReader
from smp.application.errors import StorageUnavailable
from smp.application.ports.access_reader import AccessReader
from smp.application.ports.api_key_reader import ApiKeyReader
from smp.application.ports.clock import Clock, RealTime
from smp.application.ports.count_folder import CountFolder
from smp.application.ports.entitlement_changes import EntitlementChange, EntitlementChanges
from smp.application.ports.integrity_checker import IntegrityChecker
from smp.application.ports.login_throttle import LoginThrottle
from smp.application.ports.plan_reader import PlanReader
from smp.application.ports.registration_throttle import RegistrationThrottle
from smp.application.ports.retention_cleanup import RetentionCleanup
from smp.application.ports.session_activity import SessionActivity
from smp.application.ports.session_reader import SessionReader
from smp.application.ports.statistics_reader import StatisticsReader
from smp.application.ports.subscription_reader import SubscriptionReader
from smp.application.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from smp.application.ports.user_reader import UserReader
from smp.domain.api_key import ApiKey
from smp.domain.plan.plan import Plan
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.session import Session
from smp.domain.user.user import User
from tests.support.builders import NOW

Thing = User | Plan | Subscription | Session | ApiKey


class RecordedChanges(EntitlementChanges):
    """A listener that records its notifications."""

    def __init__(self) -> None:
        self.changes: list[EntitlementChange] = []

    def notify(self, change: EntitlementChange) -> None:
        """Record the notification."""
        self.changes.append(change)


class SetRealTime(RealTime):
    """The real time, which passes only when a test sets it."""

    def __init__(self) -> None:
        self.instant = NOW

    async def now(self) -> datetime:
        """Return the instant that was set last."""
        return self.instant


@dataclass(frozen=True, slots=True)
class Storage:
    """All ports of a storage, implemented with one technology.

    ``break_next_commit``, called inside a unit of work, lets its commit fail as a lost database would. ``event_types``
    returns the types of all stored events. ``notified`` are the reported changes of access.
    """

    unit_of_work: UnitOfWorkFactory
    users: UserReader
    plans: PlanReader
    sessions: SessionReader
    session_activity: SessionActivity
    subscriptions: SubscriptionReader
    access: AccessReader
    statistics: StatisticsReader
    api_keys: ApiKeyReader
    throttle: LoginThrottle
    registrations: RegistrationThrottle
    clock: Clock
    real_time: SetRealTime
    retention_cleanup: RetentionCleanup
    count_folder: CountFolder
    integrity: IntegrityChecker
    break_next_commit: Callable[[], Awaitable[None]]
    event_types: Callable[[], Awaitable[Sequence[str]]]
    notified: list[EntitlementChange]

    async def keep(self, *things: Thing) -> None:
        """Add all values in one transaction."""
        async with self.unit_of_work() as work:
            for thing in things:
                await add(work, thing)
            await work.commit()

    async def set_clock(self, now: datetime) -> None:
        """Set the clock without an event, as if time had passed."""
        await set_clock(self.unit_of_work, now)

    async def keep_trial(self, trial: Subscription, person: str | None = None) -> None:
        """Add the trial as a use case does, with its row in the trial ledger, which names the person if given."""
        async with self.unit_of_work() as work:
            await work.subscriptions.claim_trial(trial, once_per_user=False, person=person)
            await work.subscriptions.add(trial)
            await work.commit()


async def set_clock(unit_of_work: UnitOfWorkFactory, now: datetime) -> None:
    """Set the test clock without an event."""
    async with unit_of_work() as work:
        await work.test_clock.set(now, await work.test_clock.get_for_update())
        await work.commit()


async def add(work: UnitOfWork, thing: Thing) -> None:
    """Add the value to the repository of its type."""
    match thing:
        case User():
            await work.users.add(thing)
        case Plan():
            await work.plans.add(thing)
        case Subscription():
            await work.subscriptions.add(thing)
        case Session():
            await work.sessions.add(thing)
        case ApiKey():
            await work.api_keys.add(thing)


def memory_storage(store: MemoryStore | None = None) -> Storage:
    """Return all memory adapters over one store."""
    store = MemoryStore() if store is None else store

    async def break_next_commit() -> None:
        store.fail_next_commit(StorageUnavailable())

    async def event_types() -> Sequence[str]:
        return [str(event.type) for event in store.events]

    notified = RecordedChanges()
    clock, real_time = MemoryClock(store, NOW), SetRealTime()
    return Storage(
        unit_of_work=MemoryUnitOfWorkFactory(store, clock, notified),
        users=MemoryUserReader(store),
        plans=MemoryPlanReader(store),
        sessions=MemorySessionReader(store),
        session_activity=MemorySessionActivity(store),
        subscriptions=MemorySubscriptionReader(store),
        access=MemoryAccessReader(store),
        statistics=MemoryStatisticsReader(store),
        api_keys=MemoryApiKeyReader(store),
        throttle=MemoryLoginThrottle(store),
        registrations=MemoryRegistrationThrottle(store, real_time),
        clock=clock,
        real_time=real_time,
        retention_cleanup=MemoryRetentionCleanup(store),
        count_folder=MemoryCountFolder(),
        integrity=MemoryIntegrityChecker(store),
        break_next_commit=break_next_commit,
        event_types=event_types,
        notified=notified.changes,
    )
