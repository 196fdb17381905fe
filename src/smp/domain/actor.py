"""Who did it, when, and under which event id: what every change is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class ActorType(StrEnum):
    """The kinds of actor an event names."""

    USER = "user"
    ADMIN = "admin"
    SERVICE = "service"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts; the system has no id."""

    type: ActorType
    id: UUID | None


SYSTEM = Actor(ActorType.SYSTEM, None)


@dataclass(frozen=True, slots=True)
class EventMetadata:
    """What stands behind one change: the instant (UTC), the actor, and the id its event will have."""

    at: datetime
    actor: Actor
    event_id: UUID
