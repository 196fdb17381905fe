"""The unit of work in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from smp.adapters.memory.api_key_repository import MemoryApiKeyRepository
from smp.adapters.memory.clock import MemoryClockRepository
from smp.adapters.memory.event_log import MemoryEventLog
from smp.adapters.memory.plan_repository import MemoryPlanRepository
from smp.adapters.memory.session_repository import MemorySessionRepository
from smp.adapters.memory.store import MemoryStore, StoredOutcome
from smp.adapters.memory.subscription_repository import MemorySubscriptionRepository
from smp.adapters.memory.transaction import Transaction
from smp.adapters.memory.user_repository import MemoryUserRepository
from smp.application.errors import IdempotencyKeyReused, RequestInProgress
from smp.application.idempotency import DuplicateRequest, IdempotencyKey
from smp.application.outcomes import Outcome
from smp.application.ports.clock import Clock
from smp.application.ports.entitlement_changes import IGNORED, EntitlementChange, EntitlementChanges
from smp.application.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory


class MemoryUnitOfWork(UnitOfWork):
    """A unit of work on a store."""

    def __init__(
        self,
        store: MemoryStore,
        transaction: Transaction,
        clock: Clock,
        key: IdempotencyKey | None,
        changes: EntitlementChanges,
    ) -> None:
        self._store = store
        self._clock = clock
        self._changes = changes
        self._transaction = transaction
        self._key = key
        self._events = MemoryEventLog(transaction)
        self._users = MemoryUserRepository(transaction)
        self._plans = MemoryPlanRepository(transaction)
        self._subscriptions = MemorySubscriptionRepository(transaction)
        self._sessions = MemorySessionRepository(transaction)
        self._api_keys = MemoryApiKeyRepository(transaction)
        self._test_clock = MemoryClockRepository(transaction)

    @property
    def users(self) -> MemoryUserRepository:
        """The users."""
        return self._users

    @property
    def plans(self) -> MemoryPlanRepository:
        """The plans."""
        return self._plans

    @property
    def subscriptions(self) -> MemorySubscriptionRepository:
        """The subscriptions."""
        return self._subscriptions

    @property
    def sessions(self) -> MemorySessionRepository:
        """The sessions."""
        return self._sessions

    @property
    def events(self) -> MemoryEventLog:
        """The event log."""
        return self._events

    @property
    def api_keys(self) -> MemoryApiKeyRepository:
        """The API keys."""
        return self._api_keys

    @property
    def test_clock(self) -> MemoryClockRepository:
        """The test clock."""
        return self._test_clock

    async def now(self) -> datetime:
        """Return the present instant of the platform's clock."""
        return await self._clock.now()

    async def commit(self, outcome: Outcome | None = None) -> None:
        """Make the changes last, with the outcome where there is a key.

        Raises:
            StorageIntegrityError: if a write was refused before.
            Exception: the one that :meth:`MemoryStore.fail_next_commit` was given.
        """
        key = self._key
        if key is not None:
            if outcome is None:
                raise AssertionError("an idempotent request needs an outcome")
            stored = StoredOutcome(key.fingerprint, outcome, key.received_at)
            self._transaction.outcomes.put((key.caller, key.key), stored)
        failure = self._store.take_commit_failure()
        if failure is not None:
            self._transaction.abort()
            raise failure
        await self._transaction.commit()
        if change := EntitlementChange.of(self._transaction.recorded):
            self._changes.notify(change)


class MemoryUnitOfWorkFactory(UnitOfWorkFactory):
    """A factory of units of work on a store. Any number of tasks may have one open."""

    def __init__(self, store: MemoryStore, clock: Clock, changes: EntitlementChanges = IGNORED) -> None:
        self._store = store
        self._clock = clock
        self._changes = changes

    @asynccontextmanager
    async def __call__(self, key: IdempotencyKey | None = None) -> AsyncIterator[MemoryUnitOfWork]:
        """Open a unit of work. Its changes are lost if the block ends without ``commit``."""
        transaction = Transaction(self._store)
        try:
            if key is not None:
                await _claim(transaction, key)
            yield MemoryUnitOfWork(self._store, transaction, self._clock, key, self._changes)
        finally:
            transaction.end()


async def _claim(transaction: Transaction, key: IdempotencyKey) -> None:
    """Read the outcome of the key, or hold the key where there is none."""
    await transaction.round_trip()
    stored = transaction.outcomes.get((key.caller, key.key))
    if stored is None or stored.received_at < key.expired_before:
        if not transaction.lock_if_free("idempotency key", key.caller, key.key):
            raise RequestInProgress
        return
    if stored.fingerprint != key.fingerprint:
        raise IdempotencyKeyReused
    raise DuplicateRequest(stored.outcome)
