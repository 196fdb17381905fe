"""The sweep: write down, and announce, what time has already decided."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from smp.application.errors import ApplicationError, TransactionConflict
from smp.application.event_metadata import EventMetadataFactory
from smp.application.ports.clock import Clock
from smp.application.ports.error_reporter import ErrorReporter
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.retention_cleanup import RetentionCleanup
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.domain.errors import DomainError
from smp.domain.events import SYSTEM
from smp.domain.subscription.lifecycle import Status
from smp.domain.subscription.repository import OverduePosition, overdue_position
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.session import SessionPolicy

BATCH_SIZE: Final = 2_000
CONCURRENCY: Final = 2
"""Batches under way at once: while the database writes one, the domain decides the next."""

PURGE_LIMIT: Final = 10_000


@dataclass(slots=True)
class SweepOutcome:
    """What one sweep ended so far, what it could not, and what else it tidied away."""

    expired: int = 0
    cancelled: int = 0
    purged: int = 0
    failed: set[UUID] = field(default_factory=set)

    @property
    def ended(self) -> int:
        """How many subscriptions it ended."""
        return self.expired + self.cancelled

    def count(self, settled: Sequence[Subscription]) -> None:
        """Add a batch that was committed."""
        expired = sum(1 for subscription in settled if subscription.status is Status.EXPIRED)
        self.expired += expired
        self.cancelled += len(settled) - expired


Progress = Callable[[SweepOutcome], None]


def ignore_progress(_: SweepOutcome) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class ExpiryRun:
    """One run of the expiry job, for all subscriptions that are due.

    Any number of runs may work at once: each batch is claimed, so they share the work. A batch that cannot be written
    is done again one by one, so that a bad row affects only itself.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator
    housekeeping: RetentionCleanup
    sessions: SessionPolicy
    failures: ErrorReporter

    async def run(self, progress: Progress = ignore_progress) -> SweepOutcome:
        """What was ended, and what could not be. Raises StorageUnavailable where the database does not answer."""
        new_metadata = EventMetadataFactory(self.ids, SYSTEM, await self.clock.now())
        outcome = SweepOutcome()
        try:
            async with asyncio.TaskGroup() as lanes:
                for _ in range(CONCURRENCY):
                    lanes.create_task(self._sweep(new_metadata, outcome, progress))
        except* ApplicationError as group:
            raise group.exceptions[0] from None
        outcome.purged = await self.housekeeping.purge_expired(new_metadata.at, self.sessions, PURGE_LIMIT)
        return outcome

    async def _sweep(self, new_metadata: EventMetadataFactory, outcome: SweepOutcome, progress: Progress) -> None:
        position: OverduePosition | None = None
        while True:
            claimed = await self._settle_batch(new_metadata, position, outcome)
            if not claimed:
                return
            position = overdue_position(claimed[-1])
            progress(outcome)

    async def _settle_batch(
        self, new_metadata: EventMetadataFactory, after: OverduePosition | None, outcome: SweepOutcome
    ) -> Sequence[Subscription]:
        claimed: Sequence[Subscription] = ()
        try:
            async with self.unit_of_work() as work:
                claimed = await work.subscriptions.claim_overdue(new_metadata.at, BATCH_SIZE, after)
                settled = [subscription.apply_expiry(new_metadata()) for subscription in claimed]
                if settled:
                    await work.subscriptions.save_ended(settled)
                    await work.commit()
            outcome.count(settled)
        except (DomainError, TransactionConflict):
            for subscription in claimed:
                await self._settle_one(new_metadata, subscription, outcome)
        return claimed

    async def _settle_one(self, new_metadata: EventMetadataFactory, due: Subscription, outcome: SweepOutcome) -> None:
        try:
            async with self.unit_of_work() as work:
                current = await work.subscriptions.find_open_for_update(due.user_id)
                if current is None or current.id != due.id or not current.is_overdue(new_metadata.at):
                    return
                settled = current.apply_expiry(new_metadata())
                await work.subscriptions.save(settled)
                await work.commit()
            outcome.count([settled])
        except (DomainError, TransactionConflict) as failure:
            if due.id not in outcome.failed:
                outcome.failed.add(due.id)
                self.failures.expiry_failed(due.id, failure)
