"""Figures, their targets and their arithmetic: pure values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import Final

MIB: Final = 1024 * 1024


class Unit(StrEnum):
    """The unit of a figure, as it is written after the number."""

    RATIO = ""
    PER_SECOND = "/s"
    SECONDS = " s"
    MILLISECONDS = " ms"
    MICROSECONDS = " µs"
    MIBIBYTES = " MiB"
    COUNT = " "


class Bound(StrEnum):
    """The side of the target on which a figure must be; a figure equal to the target is right."""

    AT_LEAST = "at least"
    AT_MOST = "at most"


@dataclass(frozen=True, slots=True)
class Target:
    """The value that a figure should reach or stay below."""

    bound: Bound
    value: float

    def is_met_by(self, value: float) -> bool:
        """Return true if ``value`` is on the right side, or equal."""
        return value >= self.value if self.bound is Bound.AT_LEAST else value <= self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One result; ``reason`` says why the target is missed, if it is."""

    name: str
    value: float
    unit: Unit = Unit.RATIO
    target: Target | None = None
    reason: str = ""

    @property
    def is_met(self) -> bool | None:
        """True if the target is met; ``None`` if there is no target."""
        return None if self.target is None else self.target.is_met_by(self.value)

    @property
    def text(self) -> str:
        """The value as text."""
        return written(self.value, self.unit)

    @property
    def target_text(self) -> str:
        """The target as text; empty if there is none."""
        return "" if self.target is None else f"{self.target.bound} {written(self.target.value, self.unit)}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table: a title, the names of the columns, and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The result of one benchmark: how it measures, its figures, and its tables."""

    name: str
    title: str
    how: str
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...] = field(default=())


def at_least(value: float) -> Target:
    """Return the target of a figure that must not be less."""
    return Target(Bound.AT_LEAST, value)


def at_most(value: float) -> Target:
    """Return the target of a figure that must not be more."""
    return Target(Bound.AT_MOST, value)


def written(value: float, unit: Unit) -> str:
    """Format the number with its unit: three significant digits, and a whole number from a hundred on."""
    if unit is Unit.COUNT and value == int(value):
        return f"{int(value):,}"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2  # noqa: PLR2004 - powers of ten
    if unit is Unit.RATIO and size < 1:
        digits = 3
    return f"{value:,.{digits}f}{unit}".rstrip()


def ratio_of_pairs(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios of neighbouring rounds.

    The machine is in the same state for neighbouring rounds, so a disturbance changes one pair and not the figure.

    Raises:
        ValueError: if there are no rounds, or the numbers of rounds differ.
    """
    if not ours:
        raise ValueError("there are no rounds")
    return median(mine / other for mine, other in zip(ours, theirs, strict=True))


def middle(values: Sequence[float]) -> float:
    """Return the median.

    Raises:
        ValueError: if there are no values.
    """
    if not values:
        raise ValueError("there are no values")
    return median(values)
