"""Transactions in PostgreSQL."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from smp.adapters.postgres.api_key_repository import PostgresApiKeyRepository
from smp.adapters.postgres.clock import REAL_TIME, TransactionTime
from smp.adapters.postgres.event_log import PostgresEventLog
from smp.adapters.postgres.idempotency import claim, find_committed, store
from smp.adapters.postgres.plan_repository import PostgresPlanRepository
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.session_repository import PostgresSessionRepository
from smp.adapters.postgres.subscription_repository import PostgresSubscriptionRepository
from smp.adapters.postgres.test_clock import PostgresClockRepository
from smp.adapters.postgres.transaction import Transaction, open_transaction
from smp.adapters.postgres.user_repository import PostgresUserRepository
from smp.application.errors import OutcomeUnknown
from smp.application.idempotency import IdempotencyKey
from smp.application.outcomes import Outcome
from smp.application.ports.entitlement_changes import IGNORED, EntitlementChange, EntitlementChanges
from smp.application.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from smp.domain.errors import DomainError


class PostgresUnitOfWork(UnitOfWork):
    """The repositories of one transaction on one connection."""

    def __init__(
        self,
        transaction: Transaction,
        time: TransactionTime,
        key: IdempotencyKey | None,
        changes: EntitlementChanges,
    ) -> None:
        self._transaction = transaction
        self._time = time
        self._changes = changes
        self._key = key
        self._events = PostgresEventLog(transaction)
        self._users = PostgresUserRepository(transaction, self._events)
        self._plans = PostgresPlanRepository(transaction, self._events)
        self._subscriptions = PostgresSubscriptionRepository(transaction, self._events)
        self._sessions = PostgresSessionRepository(transaction)
        self._api_keys = PostgresApiKeyRepository(transaction)
        self._test_clock = PostgresClockRepository(transaction)

    @property
    def users(self) -> PostgresUserRepository:
        """The users."""
        return self._users

    @property
    def plans(self) -> PostgresPlanRepository:
        """The plans."""
        return self._plans

    @property
    def subscriptions(self) -> PostgresSubscriptionRepository:
        """The subscriptions."""
        return self._subscriptions

    @property
    def sessions(self) -> PostgresSessionRepository:
        """The sessions."""
        return self._sessions

    @property
    def events(self) -> PostgresEventLog:
        """The event log."""
        return self._events

    @property
    def api_keys(self) -> PostgresApiKeyRepository:
        """The API keys."""
        return self._api_keys

    @property
    def test_clock(self) -> PostgresClockRepository:
        """The test clock."""
        return self._test_clock

    async def now(self) -> datetime:
        """Return the present instant of the platform's clock, by the database."""
        return await self._time.now_in(self._transaction)

    async def commit(self, outcome: Outcome | None = None) -> None:
        """Commit the changes, with the outcome if there is an idempotency key.

        Raises:
            StorageIntegrityError: if a write was refused before.
            TransactionConflict, StorageUnavailable, OutcomeUnknown: as for the port.
        """
        if self._key is not None:
            if outcome is None:
                raise AssertionError("an idempotent request needs an outcome")
            await store(self._transaction, self._key, outcome)
        try:
            await self._transaction.commit()
        except (OutcomeUnknown, CancelledError):
            self._notify()
            raise
        self._notify()

    def _notify(self) -> None:
        if change := EntitlementChange.of(self._events.recorded):
            self._changes.notify(change)


class PostgresUnitOfWorkFactory(UnitOfWorkFactory):
    """A factory of transactions on connections of a pool."""

    def __init__(
        self, pool: PostgresPool, changes: EntitlementChanges = IGNORED, time: TransactionTime = REAL_TIME
    ) -> None:
        self._pool = pool
        self._time = time
        self._changes = changes

    @asynccontextmanager
    async def __call__(self, key: IdempotencyKey | None = None) -> AsyncIterator[PostgresUnitOfWork]:
        """Open a transaction; without ``commit``, or after an exception, it is rolled back."""
        try:
            async with open_transaction(self._pool) as transaction:
                if key is not None:
                    await claim(transaction, key)
                yield PostgresUnitOfWork(transaction, self._time, key, self._changes)
        except DomainError as refusal:
            # The work may be refused only because the first request with the key took effect in the meantime.
            if key is not None and (repeated := await find_committed(self._pool, key)) is not None:
                raise repeated from refusal
            raise
