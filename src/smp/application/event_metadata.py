"""Making causes: the instant, the actor and a new event id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smp.application.ports.id_generator import IdGenerator
from smp.domain.events import Actor, EventMetadata


@dataclass(frozen=True, slots=True)
class EventMetadataFactory:
    """Gives a cause with a fresh event id at each call; instant and actor stay."""

    ids: IdGenerator
    actor: Actor
    at: datetime

    def __call__(self) -> EventMetadata:
        """A new cause."""
        return EventMetadata(self.at, self.actor, self.ids.new())
