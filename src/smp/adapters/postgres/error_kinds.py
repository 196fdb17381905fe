"""Kinds of database errors, for metrics."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import asyncpg

from smp.application.errors import OutcomeUnknown, StorageUnavailable
from smp.domain.errors import DomainError


class ErrorKind(StrEnum):
    """A kind of error: a class of SQLSTATE (PostgreSQL, appendix A), or an error of the driver without one."""

    CONFLICT = "conflict"
    CONNECTION = "connection"
    CONSTRAINT = "constraint"
    DATA = "data"
    OTHER = "other"
    PERMISSION = "permission"
    RESOURCES = "resources"
    SERVER = "server"
    STATEMENT = "statement"
    TIMEOUT = "timeout"


_BY_SQLSTATE: Final[Mapping[str, ErrorKind]] = MappingProxyType(
    {
        "57014": ErrorKind.TIMEOUT,  # cancelled: statement_timeout
        "55P03": ErrorKind.CONFLICT,  # lock_timeout
        "42501": ErrorKind.PERMISSION,
        "25P03": ErrorKind.TIMEOUT,  # idle_in_transaction_session_timeout
        "25P04": ErrorKind.TIMEOUT,  # transaction_timeout
    }
)
_BY_CLASS: Final[Mapping[str, ErrorKind]] = MappingProxyType(
    {
        "08": ErrorKind.CONNECTION,
        "22": ErrorKind.DATA,
        "23": ErrorKind.CONSTRAINT,
        "28": ErrorKind.PERMISSION,
        "3D": ErrorKind.CONNECTION,
        "40": ErrorKind.CONFLICT,
        "42": ErrorKind.STATEMENT,
        "53": ErrorKind.RESOURCES,
        "57": ErrorKind.SERVER,  # it is starting or stopping
        "58": ErrorKind.SERVER,
        "XX": ErrorKind.SERVER,
    }
)


def kind_of(raised: BaseException) -> ErrorKind | None:
    """Return the kind of an error of the driver; ``None`` for any other error."""
    if isinstance(raised, asyncpg.PostgresError):
        sqlstate = str(raised.sqlstate)
        return _BY_SQLSTATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2], ErrorKind.OTHER)
    if isinstance(raised, asyncpg.DataError):
        return ErrorKind.DATA
    if isinstance(raised, TimeoutError):
        return ErrorKind.TIMEOUT
    if isinstance(raised, asyncpg.OutdatedSchemaCacheError):
        return ErrorKind.CONFLICT
    if isinstance(raised, asyncpg.InterfaceError | asyncpg.InternalClientError | OSError):
        return ErrorKind.CONNECTION
    return None


def kind_of_translated(error: BaseException) -> ErrorKind | None:
    """Return the kind of the driver's error that ``error`` translates; ``None`` if there is none.

    An error from elsewhere inside a transaction, such as a payment provider that is away, has no kind.
    """
    if isinstance(error, StorageUnavailable | OutcomeUnknown | DomainError) and error.__cause__ is not None:
        return kind_of(error.__cause__)
    return None
