"""The one place where the driver's errors become the domain's and the application's.

They are told apart by SQLSTATE, by the name of the constraint, and by whether COMMIT was already on its way; never by
their text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Final
from uuid import UUID

import asyncpg

from smp.application.errors import OutcomeUnknown, StorageUnavailable, TransactionConflict
from smp.domain.errors import (
    DomainError,
    EmailTaken,
    LiveSubscriptionExists,
    PlanCodeTaken,
    StorageIntegrityError,
    TrialAlreadyUsed,
    UserNotFound,
)


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """What a refusal of the statement at hand would have to name."""

    user_id: UUID | None = None
    plan: str = ""


NO_CONTEXT: Final = ErrorContext()

_Refusal = Callable[[UUID, str], DomainError]

# What a constraint that concurrent callers can run into means to them; any other is a defect or a damaged row.
_BY_CONSTRAINT: Final[Mapping[str, _Refusal]] = MappingProxyType(
    {
        "subscriptions_one_live": lambda user_id, _: LiveSubscriptionExists(user_id),
        # By the clock of a server that lags behind, the one that another server has just ended is still live.
        "subscriptions_no_overlap": lambda user_id, _: LiveSubscriptionExists(user_id),
        "trials_once_per_plan": TrialAlreadyUsed,
        "trials_once_per_user": TrialAlreadyUsed,
        "subscriptions_user_fkey": lambda user_id, _: UserNotFound(user_id),
        "trials_user_fkey": lambda user_id, _: UserNotFound(user_id),
        "sessions_user_fkey": lambda user_id, _: UserNotFound(user_id),
    }
)

# Where a table is dealt out to shards, a shard's constraint is called as the table's, with a number behind the name.
_SHARD: Final = re.compile("(?<=[a-z])_[0-9]+$")
_INTEGRITY: Final = "23"
_GIVEN_UP: Final = frozenset(
    {
        "40001",  # serialization failure
        "40P01",  # deadlock
        "55P03",  # a lock was not to be had within lock_timeout
        "0A000",  # the schema was migrated since the statement was prepared; the driver prepares it anew next time
    }
)
# Connections, authorisation at the door, resources, operator intervention, system errors.
_UNAVAILABLE_CLASSES: Final = ("08", "28", "53", "57", "58")
_UNAVAILABLE: Final = frozenset(
    {
        "25006",  # read only: a standby answers where the primary was
        "25P03",  # idle in transaction for too long
        "25P04",  # the transaction took too long (PostgreSQL 17)
        "3D000",  # no such database
        "40003",  # whether the statement was completed is unknown
    }
)


def translation(
    error: Exception, facts: ErrorContext = NO_CONTEXT, *, committing: bool = False
) -> DomainError | StorageUnavailable | OutcomeUnknown | None:
    """What ``error`` means to a use case; ``None`` where it is not of the driver or the network.

    ``committing`` says that COMMIT was sent before ``error`` came: a lost connection then leaves the outcome open.
    """
    translated = _translation(error, facts)
    if committing and isinstance(translated, StorageUnavailable) and not isinstance(translated, TransactionConflict):
        return OutcomeUnknown()
    return translated


class Translated:
    """Around statements, and nothing else: what the driver raises inside comes out translated."""

    __slots__ = ("_committing", "_facts")

    def __init__(self, facts: ErrorContext = NO_CONTEXT, *, committing: bool = False) -> None:
        self._facts = facts
        self._committing = committing

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Raise the translation in the place of what the driver raised."""
        if isinstance(error, Exception):
            translated = translation(error, self._facts, committing=self._committing)
            if translated is not None:
                raise translated from error


def _translation(error: Exception, facts: ErrorContext) -> DomainError | StorageUnavailable | None:
    if isinstance(error, asyncpg.PostgresError):
        return _by_sqlstate(error, facts)
    if isinstance(error, asyncpg.DataError):
        return StorageIntegrityError("data")  # what the driver itself could not put into a column
    if isinstance(error, asyncpg.OutdatedSchemaCacheError):
        return TransactionConflict()
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError | OSError):
        return StorageUnavailable()  # refused, reset, closed, timed out, or not speaking the protocol any more
    return None


def _by_sqlstate(error: asyncpg.PostgresError, facts: ErrorContext) -> DomainError | StorageUnavailable:
    sqlstate = str(error.sqlstate)
    if sqlstate.startswith(_INTEGRITY):
        return _by_constraint(_SHARD.sub("", str(error.constraint_name or sqlstate)), facts)
    if sqlstate in _GIVEN_UP:
        return TransactionConflict()
    if sqlstate in _UNAVAILABLE or sqlstate.startswith(_UNAVAILABLE_CLASSES):
        return StorageUnavailable()
    return StorageIntegrityError(sqlstate)


def _by_constraint(name: str, facts: ErrorContext) -> DomainError:
    if name == "user_emails_pkey":
        return EmailTaken()
    if name == "plans_code_key":
        return PlanCodeTaken(facts.plan)
    refusal = _BY_CONSTRAINT.get(name)
    if refusal is None or facts.user_id is None:
        return StorageIntegrityError(name)
    return refusal(facts.user_id, facts.plan)
