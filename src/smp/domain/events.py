"""Domain events: records of state changes, with their actor and subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from uuid import UUID


class ActorType(StrEnum):
    """The kinds of actors."""

    USER = "user"
    ADMIN = "admin"
    SERVICE = "service"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """The party that makes a change; the system has no id."""

    type: ActorType
    id: UUID | None


SYSTEM = Actor(ActorType.SYSTEM, None)


class SubjectType(StrEnum):
    """The kinds of resources that events are about."""

    SUBSCRIPTION = "subscription"
    PLAN = "plan"
    USER = "user"
    SESSION = "session"
    API_KEY = "api_key"
    TEST_CLOCK = "test_clock"


@cache
def _subject_type(type_: StrEnum) -> SubjectType:
    return SubjectType(type_.partition(".")[0])


def instant_text(instant: datetime | None) -> str | None:
    """Return the form of an instant in the data of events: RFC 3339 with ``Z``, to the microsecond if there are any."""
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """An immutable record of one state change.

    ``type`` begins with the type of the subject: ``plan.archived`` is about a plan. ``occurred_at`` is when the change
    took effect and ``recorded_at`` when the platform wrote it; they differ where time ended a subscription and a job
    recorded it later. ``user_id`` is the user whom the event concerns, if any. ``version`` is the subject's version
    after the change, where the subject has one. ``data`` contains no secret and no digest.
    """

    id: UUID
    type: StrEnum
    occurred_at: datetime
    recorded_at: datetime
    actor: Actor
    user_id: UUID | None
    subject_id: UUID
    version: int | None
    data: Mapping[str, object]

    @property
    def subject_type(self) -> SubjectType:
        """The kind of resource that the event is about."""
        return _subject_type(self.type)


@dataclass(frozen=True, slots=True)
class EventMetadata:
    """Audit metadata of one change: the instant (UTC), the actor, and the id of its event."""

    at: datetime
    actor: Actor
    event_id: UUID

    def not_before(self, instant: datetime | None) -> EventMetadata:
        """Return the metadata with the later of both instants, so that a clock that was set back undoes no order."""
        return self if instant is None or instant <= self.at else replace(self, at=instant)

    def event(
        self,
        type_: StrEnum,
        subject_id: UUID,
        data: Mapping[str, object],
        *,
        user_id: UUID | None = None,
        version: int | None = None,
    ) -> DomainEvent:
        """Return the event of a change that takes effect at once."""
        return DomainEvent(self.event_id, type_, self.at, self.at, self.actor, user_id, subject_id, version, data)
