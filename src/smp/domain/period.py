"""Periods: ISO 8601 durations of one unit, and where the n-th one from an anchor ends.

The n-th end is always counted from the anchor, never from the end before, so that a day that a short month
lacks comes back: from January 31 the ends are February 28 (or 29), March 31, April 30.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Final

from smp.domain.errors import ValidationError


class Unit(StrEnum):
    """The units a period may have; the value is the ISO 8601 designator with the time marker where it needs one."""

    SECOND = "TS"
    MINUTE = "TM"
    HOUR = "TH"
    DAY = "D"
    WEEK = "W"
    MONTH = "M"
    YEAR = "Y"


MONTH_DAYS: Final = Fraction(487, 16)
"""Days in the mean month (30.4375): a year of 365.25 days is twelve of them."""

_YEARS_MAX: Final = 100
_DAY_S: Final = 86_400
_SECONDS: Final = {Unit.SECOND: 1, Unit.MINUTE: 60, Unit.HOUR: 3_600, Unit.DAY: _DAY_S, Unit.WEEK: 7 * _DAY_S}
_MONTHS: Final = {Unit.MONTH: 1, Unit.YEAR: 12}
_PATTERN: Final = re.compile(r"P(?:([1-9][0-9]{0,9})([DWMY])|T([1-9][0-9]{0,9})([HMS]))")
_WANTED: Final = (
    f"must be an ISO 8601 duration of one unit, such as PT12H, P14D, P2W, P1M or P1Y, up to {_YEARS_MAX} years"
)


@dataclass(frozen=True, slots=True)
class Period:
    """``count`` units of time; more than zero and at most a hundred years.

    Raises:
        ValidationError: where the count is out of range.
    """

    count: int
    unit: Unit

    def __post_init__(self) -> None:
        if self.count < 1 or self.months > _YEARS_MAX * 12:
            raise ValidationError("", _WANTED)

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read an ISO 8601 duration of one unit.

        Raises:
            ValidationError: for anything else: zero, fractions, mixed units, over a hundred years.
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ValidationError("", _WANTED)
        date_count, date_unit, time_count, time_unit = match.groups()
        return cls(int(date_count or time_count), Unit(date_unit or f"T{time_unit}"))

    def __str__(self) -> str:
        marker, designator = ("T", self.unit.value[1]) if len(self.unit.value) > 1 else ("", self.unit.value)
        return f"P{marker}{self.count}{designator}"

    @property
    def months(self) -> Fraction:
        """The length in mean months, exactly: what a monthly revenue divides by."""
        if self.unit in _MONTHS:
            return Fraction(self.count * _MONTHS[self.unit])
        return Fraction(self.count * _SECONDS[self.unit], _DAY_S) / MONTH_DAYS

    def end(self, anchor: datetime, periods: int) -> datetime:
        """The instant ``periods`` whole periods after ``anchor``, which must be UTC.

        A day that the month lacks becomes its last day.

        Raises:
            ValidationError: where the instant would lie after the year 9999.
        """
        try:
            if self.unit in _MONTHS:
                return _add_months(anchor, self.count * _MONTHS[self.unit] * periods)
            return anchor + timedelta(seconds=self.count * _SECONDS[self.unit] * periods)
        except (OverflowError, ValueError):
            raise ValidationError("", "the end would lie after the year 9999") from None


def _add_months(anchor: datetime, months: int) -> datetime:
    years, month_index = divmod(anchor.month - 1 + months, 12)
    year, month = anchor.year + years, month_index + 1
    return anchor.replace(year=year, month=month, day=min(anchor.day, monthrange(year, month)[1]))
