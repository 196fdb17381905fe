"""Random choices that depend on the seed only, so that two demos of one instant are equal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import TypeVar
from uuid import UUID

Choice = TypeVar("Choice")


class SeededRandom(Random):
    """Random values of the kinds that the demo needs; the seed alone determines their sequence."""

    def chance(self, percent: float) -> bool:
        """Return true in this percentage of calls."""
        return self.random() * 100 < percent

    def choose(self, choices: Sequence[tuple[int, Choice]]) -> Choice:
        """Return one of the choices; each has a weight."""
        return self.choices([choice for _, choice in choices], [weight for weight, _ in choices])[0]

    def between(self, low: datetime, high: datetime) -> datetime:
        """Return an instant after ``low`` and before ``high``, in whole seconds after ``low`` if there is room."""
        offset = (high - low) * self.uniform(0.02, 0.98)
        return low + (timedelta(seconds=int(offset.total_seconds())) or offset)

    def span(self, low: timedelta, high: timedelta) -> timedelta:
        """Return a time from ``low`` to ``high``, in whole seconds more than ``low``."""
        return low + timedelta(seconds=int((high - low).total_seconds() * self.random()))

    def id_at(self, at: datetime) -> UUID:
        """Return a UUIDv7 (RFC 9562, section 5.7) of that instant."""
        milliseconds = int(at.timestamp() * 1_000)
        return UUID(int=milliseconds << 80 | 7 << 76 | self.getrandbits(12) << 64 | 2 << 62 | self.getrandbits(62))
