"""The unit of work: one transaction with its repositories."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from smp.application.idempotency import IdempotencyKey
from smp.application.outcomes import Outcome
from smp.application.ports.api_key_repository import ApiKeyRepository
from smp.application.ports.clock_repository import ClockRepository
from smp.application.ports.event_log import EventLog
from smp.domain.plan.repository import PlanRepository
from smp.domain.subscription.repository import SubscriptionRepository
from smp.domain.user.repository import UserRepository
from smp.domain.user.session import SessionRepository


class UnitOfWork(Protocol):
    """One transaction with its repositories. All changes take effect at ``commit``, or none."""

    @property
    @abstractmethod
    def users(self) -> UserRepository:
        """The users."""

    @property
    @abstractmethod
    def plans(self) -> PlanRepository:
        """The plans."""

    @property
    @abstractmethod
    def subscriptions(self) -> SubscriptionRepository:
        """The subscriptions."""

    @property
    @abstractmethod
    def sessions(self) -> SessionRepository:
        """The sessions."""

    @property
    @abstractmethod
    def api_keys(self) -> ApiKeyRepository:
        """The API keys."""

    @abstractmethod
    async def now(self) -> datetime:
        """Return the present instant of the platform's clock, by the storage itself."""

    @property
    @abstractmethod
    def test_clock(self) -> ClockRepository:
        """The test clock."""

    @property
    @abstractmethod
    def events(self) -> EventLog:
        """The event log."""

    @abstractmethod
    async def commit(self, outcome: Outcome | None = None) -> None:
        """Commit all changes.

        A unit of work that was opened for an idempotency key needs the outcome, and stores it with the changes.

        Raises:
            StorageIntegrityError: if a write of this unit of work was refused before; nothing was changed.
            TransactionConflict: if the database rolled the transaction back; nothing was changed.
            StorageUnavailable: if the connection broke before the commit was sent; nothing was changed.
            OutcomeUnknown: if the connection broke during the commit.
        """


class UnitOfWorkFactory(Protocol):
    """A factory of units of work. A unit of work that ends without ``commit`` is rolled back."""

    @abstractmethod
    def __call__(self, key: IdempotencyKey | None = None) -> AbstractAsyncContextManager[UnitOfWork]:
        """Return a unit of work as a context manager; if a ``key`` is given, it is locked until the end.

        Entering raises:
            DuplicateRequest: if the request took effect before; nothing is locked then.
            IdempotencyKeyReused: if the key was used for a different request.
            RequestInProgress: if the first request with this key is still running.
            OutcomeUnknown: if the request took effect before, and its outcome cannot be read.
            StorageUnavailable: if the database does not answer.
        """
