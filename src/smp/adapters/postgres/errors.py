"""The translation of the driver's errors to those of the domain and the application.

It depends on the SQLSTATE, the name of the constraint, and whether COMMIT was sent; never on the text.
"""

from __future__ import annotations

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
    """The values that a refusal of a statement names."""

    user_id: UUID | None = None
    plan: str = ""


NO_CONTEXT: Final = ErrorContext()

_Refusal = Callable[[UUID, str], DomainError]

# Constraints that concurrent callers can violate; a violation of any other is a defect or a damaged row.
_BY_CONSTRAINT: Final[Mapping[str, _Refusal]] = MappingProxyType(
    {
        "subscriptions_one_live": lambda user_id, _: LiveSubscriptionExists(user_id),
        # A subscription that another server has just ended is still live by the clock of a server that lags behind.
        "subscriptions_no_overlap": lambda user_id, _: LiveSubscriptionExists(user_id),
        "trials_once_per_plan": TrialAlreadyUsed,
        "trials_once_per_user": TrialAlreadyUsed,
        "trials_once_per_person": TrialAlreadyUsed,
        "subscriptions_user_fkey": lambda user_id, _: UserNotFound(user_id),
        "trials_user_fkey": lambda user_id, _: UserNotFound(user_id),
        "sessions_user_fkey": lambda user_id, _: UserNotFound(user_id),
    }
)

_INTEGRITY: Final = "23"
_CONFLICTS: Final = frozenset(
    {
        "40001",  # serialization failure
        "40P01",  # deadlock
        "55P03",  # a lock was not free within lock_timeout
    }
)
# Connections, authorization of a connection, resources, operator intervention, system errors.
_UNAVAILABLE_CLASSES: Final = ("08", "28", "53", "57", "58")
_UNAVAILABLE: Final = frozenset(
    {
        # A pooler in transaction mode has given the connection to others.
        "26000",  # no such prepared statement
        "42P05",  # the prepared statement exists already
        "25006",  # read only: a standby answers at the address of the primary
        "25P03",  # idle in transaction for too long
        "25P04",  # the transaction took too long (PostgreSQL 17)
        "3D000",  # no such database
        "40003",  # whether the statement was completed is unknown
    }
)


def translate(
    error: Exception, context: ErrorContext = NO_CONTEXT, *, committing: bool = False
) -> DomainError | StorageUnavailable | OutcomeUnknown | None:
    """Return the meaning of ``error`` for a use case; ``None`` if it is not an error of the driver or the network.

    With ``committing``, COMMIT was sent before ``error``, so the outcome after a lost connection is unknown.
    """
    translated = _translate(error, context)
    if committing and isinstance(translated, StorageUnavailable) and not isinstance(translated, TransactionConflict):
        return OutcomeUnknown()
    return translated


class translate_driver_errors:  # noqa: N801 - read as a function, as contextlib's context managers are
    """A context manager for statements: an error of the driver inside it is raised as its translation.

    A class, because a generator costs several times as much, and every statement runs inside one.
    """

    __slots__ = ("_committing", "_context")

    def __init__(self, context: ErrorContext = NO_CONTEXT, *, committing: bool = False) -> None:
        self._context = context
        self._committing = committing

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Raise the translation of an error of the driver."""
        if isinstance(error, Exception):
            translated = translate(error, self._context, committing=self._committing)
            if translated is not None:
                raise translated from error


def _translate(error: Exception, context: ErrorContext) -> DomainError | StorageUnavailable | None:
    if isinstance(error, asyncpg.InvalidCachedStatementError | asyncpg.OutdatedSchemaCacheError):
        return TransactionConflict()  # the schema was migrated since; the driver prepares the statement again
    if isinstance(error, asyncpg.PostgresError):
        return _by_sqlstate(error, context)
    if isinstance(error, asyncpg.DataError):
        return StorageIntegrityError("data")  # the driver cannot send the value
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError | OSError):
        return StorageUnavailable()  # refused, reset, closed, timed out, or not speaking the protocol any more
    return None


def _by_sqlstate(error: asyncpg.PostgresError, context: ErrorContext) -> DomainError | StorageUnavailable:
    sqlstate = str(error.sqlstate)
    if sqlstate.startswith(_INTEGRITY):
        return _by_constraint(str(error.constraint_name or sqlstate), context)
    if sqlstate in _CONFLICTS:
        return TransactionConflict()
    if sqlstate in _UNAVAILABLE or sqlstate.startswith(_UNAVAILABLE_CLASSES):
        return StorageUnavailable()
    return StorageIntegrityError(sqlstate)


def _by_constraint(name: str, context: ErrorContext) -> DomainError:
    if name == "user_emails_pkey":
        return EmailTaken()
    if name == "plans_code_key":
        return PlanCodeTaken(context.plan)
    refusal = _BY_CONSTRAINT.get(name)
    if refusal is None or context.user_id is None:
        return StorageIntegrityError(name)
    return refusal(context.user_id, context.plan)
