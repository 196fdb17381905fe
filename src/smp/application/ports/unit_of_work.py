"""One transaction."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from smp.application.idempotency import IdempotencyKey
from smp.application.outcomes import Outcome
from smp.application.ports.api_key_repository import ApiKeyRepository
from smp.application.ports.event_log import EventLog
from smp.domain.plan.repository import PlanRepository
from smp.domain.subscription.repository import SubscriptionRepository
from smp.domain.user.repository import UserRepository
from smp.domain.user.session import SessionRepository


class UnitOfWork(Protocol):
    """The repositories of one transaction; all of their changes take effect at ``commit``, or none."""

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

    @property
    @abstractmethod
    def events(self) -> EventLog:
        """The event log."""

    @abstractmethod
    async def commit(self, outcome: Outcome | None = None) -> None:
        """Make the changes last.

        A unit of work that was opened for an idempotency key needs the outcome, and stores it with the changes.

        Raises:
            StorageIntegrityError: where a write of this unit of work was refused before; nothing was changed.
            TransactionConflict: where the database gave the transaction up; nothing was changed.
            StorageUnavailable: where the database was lost before it was told; nothing was changed.
            OutcomeUnknown: where the database was lost while committing.
        """


class UnitOfWorkFactory(Protocol):
    """Opens transactions; leaving one without ``commit`` undoes it."""

    @abstractmethod
    def __call__(self, key: IdempotencyKey | None = None) -> AbstractAsyncContextManager[UnitOfWork]:
        """A transaction, which holds ``key`` until it ends where one is given.

        Entering raises:
            DuplicateRequest: where the request took effect before; nothing is locked then.
            IdempotencyKeyReused: where the key was used with another request.
            RequestInProgress: where the first request with this key still runs.
            OutcomeUnknown: where the request took effect before, and its outcome cannot be read.
            StorageUnavailable: where the database does not answer.
        """
