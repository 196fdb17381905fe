"""Making causes: the instant, the actor and a new event id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smp.application.ports.ids import Ids
from smp.domain.actor import Actor, Cause


@dataclass(frozen=True, slots=True)
class Causes:
    """Gives a cause with a fresh event id at each call; instant and actor stay."""

    ids: Ids
    actor: Actor
    at: datetime

    def __call__(self) -> Cause:
        """A new cause."""
        return Cause(self.at, self.actor, self.ids.new())
