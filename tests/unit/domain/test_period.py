"""Periods: their text, and where they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from smp.domain.errors import ValidationError
from smp.domain.period import MONTH_DAYS, Period, Unit


def at(year: int, month: int, day: int, hour: int = 0) -> datetime:
    """Return an instant in UTC."""
    return datetime(year, month, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "count", "unit"),
    [
        ("PT1S", 1, Unit.SECOND),
        ("PT90M", 90, Unit.MINUTE),
        ("PT12H", 12, Unit.HOUR),
        ("P14D", 14, Unit.DAY),
        ("P2W", 2, Unit.WEEK),
        ("P1M", 1, Unit.MONTH),
        ("P1Y", 1, Unit.YEAR),
        ("P100Y", 100, Unit.YEAR),
        ("P1200M", 1_200, Unit.MONTH),
        ("P36525D", 36_525, Unit.DAY),
        ("PT3155760000S", 3_155_760_000, Unit.SECOND),
    ],
)
def test_a_period_is_one_unit_from_a_second_to_a_hundred_years(text: str, count: int, unit: Unit) -> None:
    """Its text stays the same when it is parsed and written again."""
    period = Period.parse(text)
    assert period == Period(count, unit)
    assert str(period) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "P", "PT", "1M", "M", "P1", "PM", "T1H", "P1M ", " P1M", "P1M\n", "P1M\x00"),
        *("P0D", "PT0S", "P00M", "P-1D", "-P1D", "+P1D", "P+1D"),
        *("P1Y6M", "P1M1D", "P1DT12H", "PT1H30M", "P1W1D", "PT1H1H"),
        *("P1.5M", "P1,5M", "P0.5Y", "PT0.1S", "P1e1D", "P½D"),
        *("p1m", "P1m", "pT1h", "Pt1H", "PT1h"),
        *("P01M", "P007D", "PT012H"),
        *("P1H", "P1S", "PT1D", "PT1W", "PT1Y", "P1Q", "P1X"),
        *("P101Y", "P1201M", "P36526D", "PT3155760001S", "P5218W"),
        *("P99999999999D", "P9999999999Y", "P" + "9" * 5_000 + "D"),
        *("P\u0661M", "P\uff11M", "P²D", "P1M".encode("utf-16").decode("utf-16-le"), "one month", "2024-01-31"),
    ],
)
def test_an_invalid_period_is_rejected(text: str) -> None:
    """Zero, signs, mixed units, fractions, small letters, leading zeros, a misplaced unit, over a hundred years."""
    with pytest.raises(ValidationError, match="ISO 8601"):
        Period.parse(text)


@pytest.mark.parametrize("count", [0, -1, 101])
def test_no_constructor_accepts_a_period_out_of_range(count: int) -> None:
    with pytest.raises(ValidationError):
        Period(count, Unit.YEAR)


@pytest.mark.parametrize(
    ("text", "anchor", "ends"),
    [
        ("P1M", at(2023, 1, 31), [at(2023, 2, 28), at(2023, 3, 31), at(2023, 4, 30), at(2023, 5, 31)]),
        ("P1M", at(2024, 1, 31), [at(2024, 2, 29), at(2024, 3, 31), at(2024, 4, 30), at(2024, 5, 31)]),
        ("P1M", at(2024, 1, 30), [at(2024, 2, 29), at(2024, 3, 30)]),
        ("P1M", at(2023, 1, 29), [at(2023, 2, 28), at(2023, 3, 29)]),
        ("P1M", at(2023, 11, 30), [at(2023, 12, 30), at(2024, 1, 30), at(2024, 2, 29), at(2024, 3, 30)]),
        ("P1M", at(2023, 12, 31), [at(2024, 1, 31), at(2024, 2, 29)]),
        ("P3M", at(2023, 11, 30), [at(2024, 2, 29), at(2024, 5, 30), at(2024, 8, 30), at(2024, 11, 30)]),
        ("P1Y", at(2024, 2, 29), [at(2025, 2, 28), at(2026, 2, 28), at(2027, 2, 28), at(2028, 2, 29)]),
        ("P1Y", at(2096, 2, 29), [at(2097, 2, 28), at(2098, 2, 28), at(2099, 2, 28), at(2100, 2, 28), at(2101, 2, 28)]),
        ("P4Y", at(2096, 2, 29), [at(2100, 2, 28), at(2104, 2, 29)]),
        ("P1Y", at(1999, 12, 31, 23), [at(2000, 12, 31, 23)]),
        ("P12M", at(2024, 2, 29), [at(2025, 2, 28), at(2026, 2, 28)]),
        ("P14D", at(2024, 2, 20), [at(2024, 3, 5), at(2024, 3, 19)]),
        ("P2W", at(2023, 2, 20), [at(2023, 3, 6)]),
        ("PT12H", at(2024, 2, 28, 18), [at(2024, 2, 29, 6), at(2024, 2, 29, 18)]),
    ],
)
def test_each_end_is_counted_from_the_anchor(text: str, anchor: datetime, ends: list[datetime]) -> None:
    """A day that the month lacks becomes its last day, and returns in the months that have it."""
    period = Period.parse(text)
    assert [period.end(anchor, number) for number in range(1, len(ends) + 1)] == ends


def test_a_leap_day_anchor_returns_after_the_year_2100() -> None:
    """2100 is not a leap year: eight years pass between two February 29."""
    ends = [Period.parse("P1Y").end(at(2096, 2, 29), number) for number in range(9)]
    assert [end for end in ends if end.day == 29] == [at(2096, 2, 29), at(2104, 2, 29)]


def test_the_end_keeps_the_time_of_day_of_the_anchor() -> None:
    """This includes the microseconds."""
    anchor = datetime(2024, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert Period.parse("P1M").end(anchor, 1) == datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)


def test_zero_periods_end_at_the_anchor() -> None:
    assert Period.parse("P1M").end(at(2024, 1, 31), 0) == at(2024, 1, 31)


@pytest.mark.parametrize("text", ["PT1S", "P1D", "P1M", "P100Y"])
def test_a_period_that_would_end_after_the_year_9999_is_rejected(text: str) -> None:
    with pytest.raises(ValidationError, match="9999"):
        Period.parse(text).end(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), 1)


def test_a_period_may_end_at_the_last_instant_of_the_year_9999() -> None:
    assert Period.parse("P1D").end(at(9999, 12, 30), 1) == at(9999, 12, 31)
    with pytest.raises(ValidationError):
        Period.parse("P1D").end(at(9999, 12, 30), 10**15)


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("P1M", Fraction(1)),
        ("P3M", Fraction(3)),
        ("P1Y", Fraction(12)),
        ("P487D", Fraction(16)),
        ("P1D", Fraction(16, 487)),
        ("P1W", Fraction(112, 487)),
        ("PT12H", Fraction(8, 487)),
        ("PT1M", Fraction(16, 487 * 1_440)),
        ("PT1S", Fraction(16, 487 * 86_400)),
    ],
)
def test_the_length_in_months_is_exact(text: str, months: Fraction) -> None:
    """A year is 12 months and a month 30.4375 days."""
    assert Period.parse(text).months == months


def test_twelve_mean_months_are_365_and_a_quarter_days() -> None:
    assert float(MONTH_DAYS) == 30.4375
    assert timedelta(days=1) * 365.25 == timedelta(days=float(12 * MONTH_DAYS))
