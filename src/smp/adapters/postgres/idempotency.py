"""Kept answers: the claim of a key when a transaction begins, and the row that is written with the effect."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from smp.adapters.postgres.mapping import instant_of
from smp.adapters.postgres.statements import Statement
from smp.adapters.postgres.tables import idempotency_keys
from smp.adapters.postgres.transaction import Transaction
from smp.application.errors import IdempotencyKeyReused, RequestInProgress, TransactionConflict
from smp.application.idempotency import RETENTION, DuplicateRequest, IdempotentRequest, StoredResponse

_columns = idempotency_keys.c

_LOCK: Final = Statement(select(func.pg_try_advisory_xact_lock(bindparam("lock", type_=_columns.status.type))))

_FIND: Final = Statement(
    select(idempotency_keys).where(_columns.caller == bindparam("caller"), _columns.key == bindparam("key"))
)

_insert = insert(idempotency_keys)
_KEEP: Final = Statement(
    _insert.on_conflict_do_update(
        index_elements=[_columns.caller, _columns.key],
        set_={
            column.name: _insert.excluded[column.name] for column in idempotency_keys.columns if not column.primary_key
        },
        # Only over an answer that has served its time.
        where=_columns.created_at < bindparam("outdated_before", type_=_columns.created_at.type),
    )
)


async def claim(transaction: Transaction, request: IdempotentRequest) -> None:
    """Hold the request's key until the transaction ends, and look whether it took effect before.

    Two statements on purpose: the second must see what the last holder of the lock has committed.

    Raises:
        RequestInProgress: where another transaction holds the key.
        IdempotencyKeyReused: where it was used with another request.
        DuplicateRequest: where this very request took effect.
    """
    lock = await transaction.row(_LOCK, lock=_lock_number(request.caller, request.key))
    if lock is None or not lock[0]:
        raise RequestInProgress
    kept = await transaction.row(_FIND, caller=request.caller, key=request.key)
    if kept is None or request.received_at - instant_of(kept["created_at"]) > RETENTION:
        return
    if kept["fingerprint"] != request.fingerprint:
        raise IdempotencyKeyReused
    raise DuplicateRequest(StoredResponse(kept["status"], kept["headers"], kept["body"]))


async def keep(transaction: Transaction, request: IdempotentRequest, answer: StoredResponse) -> None:
    """Write the answer down with the effect.

    Raises:
        TransactionConflict: where another answer was kept meanwhile, past the lock.
    """
    written = await transaction.run(
        _KEEP,
        caller=request.caller,
        key=request.key,
        fingerprint=request.fingerprint,
        status=answer.status,
        headers=dict(answer.headers),
        body=answer.body,
        created_at=request.received_at,
        outcome_type=None,
        outcome=None,
        outdated_before=request.received_at - RETENTION,
    )
    if written != 1:
        raise TransactionConflict


def _lock_number(caller: str, key: str) -> int:
    """64 bits of a digest: where two keys share one, the later request is asked to come again, and nothing worse."""
    digest = sha256(f"{len(caller)}:{caller}{key}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], signed=True)
