"""The factory of event metadata."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smp.application.ports.id_generator import IdGenerator
from smp.domain.events import Actor, EventMetadata


@dataclass(frozen=True, slots=True)
class EventMetadataFactory:
    """A factory of metadata with one instant and one actor, and a new event id for each call."""

    ids: IdGenerator
    actor: Actor
    at: datetime

    def __call__(self) -> EventMetadata:
        """Return metadata with a new event id."""
        return EventMetadata(self.at, self.actor, self.ids.new())
