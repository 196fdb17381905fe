"""Stored outcomes of idempotent requests.

A transaction claims the key when it begins, and writes the outcome together with its changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, get_args

import msgspec

from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import Row, sql
from smp.adapters.postgres.transaction import Transaction
from smp.application.errors import (
    IdempotencyKeyReused,
    OutcomeUnknown,
    RequestInProgress,
    StorageUnavailable,
    TransactionConflict,
)
from smp.application.idempotency import DuplicateRequest, IdempotencyKey
from smp.application.outcomes import Outcome
from smp.domain.errors import ValidationError

# The previous release also stored the responses of refused requests. They changed nothing, so they are processed again.
_REFUSED: Final = "(kept.outcome_type IS NULL AND kept.status >= 400)"

# A stored outcome is read without a lock, so that any number of repeats get it at once.
_READ_OR_LOCK: Final = sql(
    f"""
    SELECT kept.fingerprint, kept.outcome_type, kept.outcome,
           CASE WHEN kept.caller IS NULL THEN pg_try_advisory_xact_lock(CAST(:lock AS bigint)) END AS locked
    FROM (VALUES (1)) AS one_row
    LEFT JOIN idempotency_keys AS kept
        ON kept.caller = :caller AND kept.key = :key AND kept.created_at >= CAST(:expired_before AS timestamptz)
        AND NOT {_REFUSED}
    """  # noqa: S608 - constants
)
_READ: Final = sql(
    f"""
    SELECT fingerprint, outcome_type, outcome FROM idempotency_keys AS kept
    WHERE caller = :caller AND key = :key AND created_at >= CAST(:expired_before AS timestamptz) AND NOT {_REFUSED}
    """  # noqa: S608 - constants
)
# An expired or refused row is replaced. The columns of the previous release get their defaults.
_STORE: Final = sql(
    f"""
    INSERT INTO idempotency_keys AS kept (caller, key, fingerprint, created_at, outcome_type, outcome)
    VALUES (:caller, :key, :fingerprint, :created_at, :outcome_type, :outcome)
    ON CONFLICT (caller, key) DO UPDATE SET
        fingerprint = excluded.fingerprint, created_at = excluded.created_at,
        outcome_type = excluded.outcome_type, outcome = excluded.outcome,
        status = DEFAULT, headers = DEFAULT, body = DEFAULT
    WHERE kept.created_at < CAST(:expired_before AS timestamptz) OR {_REFUSED}
    """  # noqa: S608 - constants
)

_OUTCOMES: Final[Mapping[str, type[Any]]] = MappingProxyType({kind.__name__: kind for kind in get_args(Outcome)})


async def claim(transaction: Transaction, key: IdempotencyKey) -> None:
    """Raise the stored outcome of the key; without one, lock the key until the transaction ends.

    The first request may commit after this statement has begun and before it takes the lock. Then :func:`store` finds
    the outcome, or, if the work is refused because of what the first request did, :func:`find_committed`.

    Raises:
        DuplicateRequest: if the same request took effect before.
        IdempotencyKeyReused: if the key was used with another request.
        RequestInProgress: if another transaction holds the key.
        OutcomeUnknown: if the request took effect, but its outcome cannot be read.
    """
    row = await transaction.row(_READ_OR_LOCK, lock=_lock_number(key), **_identity(key))
    if row is None:
        raise StorageUnavailable
    if row["locked"] is None:
        raise _repeated(row, key)
    if not row["locked"]:
        raise RequestInProgress


async def find_committed(pool: PostgresPool, key: IdempotencyKey) -> Exception | None:
    """Return what :func:`claim` raises for the stored outcome of the key; ``None`` if there is none."""
    row = await pool.row(_READ, **_identity(key))
    return None if row is None else _repeated(row, key)


async def store(transaction: Transaction, key: IdempotencyKey, outcome: Outcome) -> None:
    """Store the outcome in the transaction that has the effect.

    Raises:
        TransactionConflict: if another outcome was stored for the key; the retry reads that one.
    """
    written = await transaction.run(
        _STORE,
        **_identity(key),
        fingerprint=key.fingerprint,
        created_at=key.received_at,
        outcome_type=type(outcome).__name__,
        outcome=msgspec.json.encode(outcome, enc_hook=_plain),
    )
    if written != 1:
        raise TransactionConflict


def _identity(key: IdempotencyKey) -> Mapping[str, object]:
    return {"caller": key.caller, "key": key.key, "expired_before": key.expired_before}


def _repeated(row: Row, key: IdempotencyKey) -> Exception:
    """Return the error for a repeat of the stored request."""
    if row["fingerprint"] != key.fingerprint:
        return IdempotencyKeyReused()
    kind = _OUTCOMES.get(row["outcome_type"] or "")
    if kind is None:
        return _unreadable()
    try:
        return DuplicateRequest(msgspec.json.decode(row["outcome"], type=kind))
    except (msgspec.DecodeError, ValidationError):
        return _unreadable()


def _unreadable() -> OutcomeUnknown:
    return OutcomeUnknown(
        "the first request with this Idempotency-Key took effect under another version of the service, which stored "
        "its outcome in another form; read the current state instead of repeating the request"
    )


def _plain(value: object) -> object:
    """Return a value that JSON can represent: features are read-only mappings, which the encoder does not support."""
    if isinstance(value, MappingProxyType):
        return dict(value)
    # The error by which an encoder's hook says that it does not support a type (msgspec's documentation).
    raise NotImplementedError(type(value))


def _lock_number(key: IdempotencyKey) -> int:
    """Return 64 bits of a digest. If two keys share a number, the later request only gets RequestInProgress."""
    digest = sha256(f"{len(key.caller)}:{key.caller}{key.key}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], signed=True)
