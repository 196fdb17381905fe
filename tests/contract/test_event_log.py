"""The event log refuses what would make its history ambiguous."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from smp.domain.errors import StorageIntegrityError
from smp.domain.events import DomainEvent
from smp.domain.plan.events import PlanEventType
from smp.domain.test_clock import clock_set
from tests.support.builders import IDS, NOW, some_metadata
from tests.support.storage import Storage


async def record(storage: Storage, *events: DomainEvent) -> None:
    async with storage.unit_of_work() as work:
        await work.events.record(events)
        await work.commit()


def an_event() -> DomainEvent:
    return some_metadata().event(PlanEventType.ARCHIVED, IDS.new(), {}, version=2)


@pytest.mark.parametrize(
    ("twice", "rule"),
    [
        (lambda first: replace(first, id=IDS.new()), "event_log_version_key"),
        (lambda first: replace(first, version=3), "event_log_pkey"),
    ],
    ids=["version", "id"],
)
@pytest.mark.parametrize("committed", [True, False], ids=["an earlier transaction", "the same statement"])
async def test_an_event_whose_id_or_version_is_recorded_already_is_refused(
    storage: Storage, twice: Callable[[DomainEvent], DomainEvent], rule: str, *, committed: bool
) -> None:
    first = an_event()
    second = twice(first)
    if committed:
        await record(storage, first)
    with pytest.raises(StorageIntegrityError) as refused:
        await record(storage, *([] if committed else [first]), second)
    assert refused.value.rule == rule
    assert len(await storage.event_types()) == int(committed)


async def test_two_subjects_may_have_the_same_version(storage: Storage) -> None:
    await record(storage, an_event(), an_event())
    assert len(await storage.event_types()) == 2


async def test_a_subject_without_versions_may_have_many_events(storage: Storage) -> None:
    """Such a subject is the test clock."""
    await record(storage, *(clock_set(some_metadata(), None, NOW) for _ in range(2)))
    assert len(await storage.event_types()) == 2
