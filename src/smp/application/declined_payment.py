"""The storage of a declined payment for its idempotency key."""

from __future__ import annotations

from contextlib import suppress

from smp.application.errors import RequestInProgress
from smp.application.idempotency import IdempotencyKey
from smp.application.outcomes import PaymentDeclinedOutcome
from smp.application.ports.unit_of_work import UnitOfWorkFactory


async def record_decline(unit_of_work: UnitOfWorkFactory, key: IdempotencyKey | None) -> None:
    """Store the decline in a second transaction, after the transaction of the use case was rolled back.

    Raises:
        DuplicateRequest: if a repeated request has stored its outcome already.
        StorageUnavailable, OutcomeUnknown: see :class:`UnitOfWorkFactory`.
    """
    if key is None:
        return
    # If a repeated request is running now, that request stores its own outcome.
    with suppress(RequestInProgress):
        async with unit_of_work(key) as work:
            await work.commit(PaymentDeclinedOutcome())
