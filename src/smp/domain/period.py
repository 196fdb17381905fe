"""Periods: ISO 8601 durations of one unit, and the end of the n-th period after an anchor.

Every end is counted from the anchor and not from the previous end, so a short month does not shift the later ends:
from January 31 the ends are February 28 (or 29), March 31, April 30.
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
    """The units of a period; the value is the ISO 8601 designator, after ``T`` for hours, minutes and seconds."""

    SECOND = "TS"
    MINUTE = "TM"
    HOUR = "TH"
    DAY = "D"
    WEEK = "W"
    MONTH = "M"
    YEAR = "Y"


MONTH_DAYS: Final = Fraction(487, 16)
"""The days of a mean month, 30.4375: a twelfth of a year of 365.25 days."""

_YEARS_MAX: Final = 100
_DAY_S: Final = 86_400
_SECONDS: Final = {Unit.SECOND: 1, Unit.MINUTE: 60, Unit.HOUR: 3_600, Unit.DAY: _DAY_S, Unit.WEEK: 7 * _DAY_S}
_MONTHS: Final = {Unit.MONTH: 1, Unit.YEAR: 12}
_PATTERN: Final = re.compile(r"P(?:([1-9][0-9]{0,9})([DWMY])|T([1-9][0-9]{0,9})([HMS]))")
_EXPECTED: Final = (
    f"must be an ISO 8601 duration of one unit, such as PT12H, P14D, P2W, P1M or P1Y, up to {_YEARS_MAX} years"
)


@dataclass(frozen=True, slots=True)
class Period:
    """A duration of ``count`` units, at least one unit and at most a hundred years.

    Raises:
        ValidationError: if the count is out of range.
    """

    count: int
    unit: Unit

    def __post_init__(self) -> None:
        if self.count < 1 or self.months > _YEARS_MAX * 12:
            raise ValidationError("", _EXPECTED)

    @classmethod
    def parse(cls, text: str) -> Period:
        """Return the period that an ISO 8601 duration of one unit means.

        Raises:
            ValidationError: if the text is anything else, such as zero, a fraction, mixed units, or over a hundred
                years.
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ValidationError("", _EXPECTED)
        date_count, date_unit, time_count, time_unit = match.groups()
        return cls(int(date_count or time_count), Unit(date_unit or f"T{time_unit}"))

    def __str__(self) -> str:
        marker, designator = ("T", self.unit.value[1]) if len(self.unit.value) > 1 else ("", self.unit.value)
        return f"P{marker}{self.count}{designator}"

    @property
    def months(self) -> Fraction:
        """The exact length in mean months, by which monthly recurring revenue divides a price."""
        if self.unit in _MONTHS:
            return Fraction(self.count * _MONTHS[self.unit])
        return Fraction(self.count * _SECONDS[self.unit], _DAY_S) / MONTH_DAYS

    def end(self, anchor: datetime, periods: int) -> datetime:
        """Return the instant that lies ``periods`` whole periods after ``anchor``, which must be in UTC.

        If the month has no such day, the end is the last day of the month.

        Raises:
            ValidationError: if the instant would lie after the year 9999.
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
