"""A declined payment is stored for its idempotency key, though nothing else took effect."""

from __future__ import annotations

from contextlib import suppress

from smp.application.errors import RequestInProgress
from smp.application.idempotency import IdempotencyKey
from smp.application.outcomes import PaymentDeclinedOutcome
from smp.application.ports.unit_of_work import UnitOfWorkFactory


async def record_decline(unit_of_work: UnitOfWorkFactory, key: IdempotencyKey | None) -> None:
    """Store the decline in a second transaction, after that of the use case was rolled back.

    Raises:
        DuplicateRequest: where a repeat has stored its outcome already.
        StorageUnavailable, OutcomeUnknown: as the unit of work.
    """
    if key is None:
        return
    # A repeat that runs at this moment stores what it finds out itself.
    with suppress(RequestInProgress):
        async with unit_of_work(key) as work:
            await work.commit(PaymentDeclinedOutcome())
