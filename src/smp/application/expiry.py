"""The expiry run: it stores the final status of overdue subscriptions, with one event each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from smp.application.errors import ApplicationError, TransactionConflict
from smp.application.event_metadata import EventMetadataFactory
from smp.application.jobs.outcome import JobOutcome
from smp.application.ports.clock import Clock
from smp.application.ports.error_reporter import ErrorReporter
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.domain.errors import DomainError
from smp.domain.events import SYSTEM
from smp.domain.subscription.lifecycle import Status
from smp.domain.subscription.repository import OverduePosition, overdue_position
from smp.domain.subscription.subscription import Subscription

BATCH_SIZE: Final = 2_000
CONCURRENCY: Final = 2
"""Batches at the same time: while the database writes one, Python prepares the next."""


@dataclass(slots=True)
class ExpiryOutcome(JobOutcome):
    """The subscriptions that a run has ended so far, and those that it could not end."""

    expired: int = 0
    cancelled: int = 0
    failed: set[UUID] = field(default_factory=set)

    @property
    def ended(self) -> int:
        """The number of subscriptions that the run has ended."""
        return self.expired + self.cancelled

    @property
    def counts(self) -> Mapping[str, int]:
        """The number of subscriptions by what the run did with them."""
        return {"expired": self.expired, "cancelled": self.cancelled, "failed": len(self.failed)}

    def add(self, ended: Sequence[Subscription]) -> None:
        """Count subscriptions whose end is committed."""
        expired = sum(1 for subscription in ended if subscription.status is Status.EXPIRED)
        self.expired += expired
        self.cancelled += len(ended) - expired


Progress = Callable[[ExpiryOutcome], None]


def ignore_progress(_: ExpiryOutcome) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class ExpiryRun:
    """One run over all overdue subscriptions, by the time that the storage itself has in each transaction.

    Several runs share the work, because each locks its batches and skips locked rows. If a batch cannot be written, its
    subscriptions are processed one by one, so that a bad row affects only itself.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator
    failures: ErrorReporter

    async def run(self, progress: Progress = ignore_progress) -> ExpiryOutcome:
        """End all overdue subscriptions. Raises ClocksDiffer or StorageUnavailable."""
        await self.clock.confirm()
        outcome = ExpiryOutcome()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CONCURRENCY):
                    group.create_task(self._end_all(outcome, progress))
        except* ApplicationError as errors:
            raise errors.exceptions[0] from None
        return outcome

    async def _end_all(self, outcome: ExpiryOutcome, progress: Progress) -> None:
        position: OverduePosition | None = None
        while overdue := await self._end_batch(position, outcome):
            position = overdue_position(overdue[-1])
            progress(outcome)

    async def _end_batch(self, after: OverduePosition | None, outcome: ExpiryOutcome) -> Sequence[Subscription]:
        """End the next batch after the position ``after``, and return it; it is empty at the end."""
        overdue: Sequence[Subscription] = ()
        try:
            async with self.unit_of_work() as work:
                new_metadata = EventMetadataFactory(self.ids, SYSTEM, await work.now())
                overdue = await work.subscriptions.claim_overdue(new_metadata.at, BATCH_SIZE, after)
                ended = [subscription.apply_expiry(new_metadata()) for subscription in overdue]
                if ended:
                    await work.subscriptions.save_ended(ended)
                    await work.commit()
            outcome.add(ended)
        except (DomainError, TransactionConflict):
            for subscription in overdue:
                await self._end_one(subscription, outcome)
        return overdue

    async def _end_one(self, overdue: Subscription, outcome: ExpiryOutcome) -> None:
        try:
            async with self.unit_of_work() as work:
                new_metadata = EventMetadataFactory(self.ids, SYSTEM, await work.now())
                current = await work.subscriptions.find_open_for_update(overdue.user_id)
                if current is None or current.id != overdue.id or not current.is_overdue(new_metadata.at):
                    return
                ended = current.apply_expiry(new_metadata())
                await work.subscriptions.save(ended)
                await work.commit()
            outcome.add([ended])
        except (DomainError, TransactionConflict) as failure:
            if overdue.id not in outcome.failed:
                outcome.failed.add(overdue.id)
                self.failures.expiry_failed(overdue.id, failure)
