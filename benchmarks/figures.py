"""What a benchmark found, and what was wanted: pure values and their arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import Final

MIB: Final = 1024 * 1024


class Unit(StrEnum):
    """What a figure counts, as it is written behind the number."""

    RATIO = ""
    PER_SECOND = "/s"
    SECONDS = " s"
    MILLISECONDS = " ms"
    MICROSECONDS = " µs"
    MIBIBYTES = " MiB"
    COUNT = " "


class Bound(StrEnum):
    """On which side of the target the figure has to be; the target itself is allowed."""

    AT_LEAST = "at least"
    AT_MOST = "at most"


@dataclass(frozen=True, slots=True)
class Target:
    """What the figure should be."""

    bound: Bound
    value: float

    def is_met_by(self, value: float) -> bool:
        """Whether ``value`` is on the right side, the target itself included."""
        return value >= self.value if self.bound is Bound.AT_LEAST else value <= self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One result; ``reason`` says why a target that was missed is missed."""

    name: str
    value: float
    unit: Unit = Unit.RATIO
    target: Target | None = None
    reason: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; ``None`` where there is none."""
        return None if self.target is None else self.target.is_met_by(self.value)

    @property
    def text(self) -> str:
        """The value for people."""
        return written(self.value, self.unit)

    @property
    def target_text(self) -> str:
        """The target for people; empty where there is none."""
        return "" if self.target is None else f"{self.target.bound} {written(self.target.value, self.unit)}"


@dataclass(frozen=True, slots=True)
class Table:
    """More to look at: a title, the columns' names, and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """What one benchmark found: how it measures in words, its figures, and its tables."""

    name: str
    title: str
    how: str
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...] = field(default=())


def at_least(value: float) -> Target:
    """The figure should not be less."""
    return Target(Bound.AT_LEAST, value)


def at_most(value: float) -> Target:
    """The figure should not be more."""
    return Target(Bound.AT_MOST, value)


def written(value: float, unit: Unit) -> str:
    """The number with its unit: three significant digits, and whole from a hundred on."""
    if unit is Unit.COUNT and value == int(value):
        return f"{int(value):,}"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2  # noqa: PLR2004 - powers of ten
    if unit is Unit.RATIO and size < 1:
        digits = 3
    return f"{value:,.{digits}f}{unit}".rstrip()


def ratio_of_pairs(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of what each round of ours is of the round of theirs beside it.

    Rounds that are neighbours in time met the same machine, so a disturbance spoils one pair and not the figure.

    Raises:
        ValueError: where there are no pairs, or not as many of one as of the other.
    """
    if not ours:
        raise ValueError("there are no rounds")
    return median(mine / other for mine, other in zip(ours, theirs, strict=True))


def middle(values: Sequence[float]) -> float:
    """The median. Raises ValueError where there is nothing."""
    if not values:
        raise ValueError("there is nothing to take the median of")
    return median(values)


def differences(cumulative: Sequence[float]) -> list[float]:
    """What each step adds to the one before; the first adds itself. Noise may make a step less than nothing: 0 then."""
    steps = []
    before = 0.0
    for value in cumulative:
        steps.append(max(value - before, 0.0))
        before = max(value, before)
    return steps
