"""The store of the memory adapters: one immutable state, which each commit replaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar
from uuid import UUID

from smp.adapters.memory.locks import Locks
from smp.application.attempt_limits import Attempts
from smp.application.outcomes import Outcome
from smp.domain.api_key import ApiKey
from smp.domain.events import DomainEvent
from smp.domain.plan.plan import Plan, PlanRevision
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.session import Session
from smp.domain.user.user import User

Key = TypeVar("Key")
Row = TypeVar("Row")


class ThrottleScope(StrEnum):
    """The two scopes in which sign-in attempts are counted."""

    ACCOUNT = "account"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """The outcome of an idempotent request, and when that request was received."""

    fingerprint: bytes
    outcome: Outcome
    received_at: datetime


def _nothing() -> Mapping[Key, Row]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class State:
    """All rows by their key. Values are immutable, and each table keeps the order of insertion."""

    users: Mapping[UUID, User] = field(default_factory=_nothing)
    plans: Mapping[UUID, Plan] = field(default_factory=_nothing)
    revisions: Mapping[tuple[UUID, int], PlanRevision] = field(default_factory=_nothing)
    subscriptions: Mapping[UUID, Subscription] = field(default_factory=_nothing)
    trials: Mapping[tuple[UUID, UUID], UUID] = field(default_factory=_nothing)
    """The trial ledger: user id and plan id, with the id of the subscription that was the trial."""
    sessions: Mapping[UUID, Session] = field(default_factory=_nothing)
    api_keys: Mapping[UUID, ApiKey] = field(default_factory=_nothing)
    test_clock: Mapping[bool, datetime] = field(default_factory=_nothing)
    """The one row of the test clock, under ``True``."""
    events: Mapping[UUID, DomainEvent] = field(default_factory=_nothing)
    outcomes: Mapping[tuple[str, str], StoredOutcome] = field(default_factory=_nothing)
    """By caller and idempotency key."""
    attempts: Mapping[tuple[ThrottleScope, str], Attempts] = field(default_factory=_nothing)


class MemoryStore:
    """The storage that memory adapters share, for one event loop at a time.

    Tests may read, compare and replace ``state``: a test that expects no change compares the states before and after.
    """

    def __init__(self, state: State | None = None, locks: Locks | None = None) -> None:
        self.state = State() if state is None else state
        self.locks = Locks() if locks is None else locks
        self._commit_failure: Exception | None = None

    @property
    def events(self) -> tuple[DomainEvent, ...]:
        """All events, in the order of their commits."""
        return tuple(self.state.events.values())

    def fail_next_commit(self, failure: Exception) -> None:
        """Make the next commit raise ``failure`` and change nothing."""
        self._commit_failure = failure

    def take_commit_failure(self) -> Exception | None:
        """Return and clear the exception that the present commit has to raise, if any."""
        failure, self._commit_failure = self._commit_failure, None
        return failure
