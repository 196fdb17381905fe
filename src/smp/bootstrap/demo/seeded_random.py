"""Chance that always falls the same way, so that two demonstrations of one instant are equal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

Choice = TypeVar("Choice")

_FRACTION_BITS = 53


class SeededRandom:
    """A sequence of draws that ``seed`` alone determines."""

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()
        self._draws = 0

    def fraction(self) -> float:
        """From 0 up to, but without, 1."""
        return (self._draw() >> (256 - _FRACTION_BITS)) / (1 << _FRACTION_BITS)

    def chance(self, percent: float) -> bool:
        """True that often."""
        return self.fraction() * 100 < percent

    def choose(self, choices: Sequence[tuple[int, Choice]]) -> Choice:
        """One of the choices, each as often as its weight says."""
        rest = self._draw() % sum(weight for weight, _ in choices)
        for weight, choice in choices:
            if rest < weight:
                return choice
            rest -= weight
        raise AssertionError("the rest is less than the sum of all weights")

    def between(self, low: datetime, high: datetime) -> datetime:
        """An instant after ``low`` and before ``high``, to the second where there is room."""
        offset = (high - low) * (0.02 + 0.96 * self.fraction())
        return low + (timedelta(seconds=int(offset.total_seconds())) or offset)

    def span(self, low: timedelta, high: timedelta) -> timedelta:
        """From ``low`` to ``high``, to the second."""
        return low + timedelta(seconds=int((high - low).total_seconds() * self.fraction()))

    def id_at(self, at: datetime) -> UUID:
        """A UUIDv7 (RFC 9562, section 5.7) of that instant."""
        milliseconds = int(at.timestamp() * 1_000)
        bits = self._draw()
        return UUID(int=milliseconds << 80 | 7 << 76 | (bits >> 128 & 0xFFF) << 64 | 2 << 62 | bits & (1 << 62) - 1)

    def _draw(self) -> int:
        self._draws += 1
        return int.from_bytes(sha256(self._seed + b"/%d" % self._draws).digest())
