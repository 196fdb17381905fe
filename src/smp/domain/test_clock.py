"""The test clock's event."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from smp.domain.events import DomainEvent, EventMetadata, instant_text

CLOCK_ID: Final = UUID("00000000-0000-7000-8000-000000000001")
"""The subject of the clock's events: a platform has one test clock."""


class ClockEventType(StrEnum):
    """The types of test clock events."""

    SET = "test_clock.set"


def clock_set(metadata: EventMetadata, before: datetime | None, now: datetime) -> DomainEvent:
    """Return the event of a test clock that is set to ``now``; ``before`` is ``None`` at the first time."""
    data = {"before": {"now": instant_text(before)}, "after": {"now": instant_text(now)}}
    return metadata.event(ClockEventType.SET, CLOCK_ID, data)
