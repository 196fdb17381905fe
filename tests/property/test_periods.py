"""Periods follow one another without a gap, in every unit and calendar."""

from __future__ import annotations

from bisect import bisect_right
from calendar import isleap
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from smp.domain.period import Period, Unit
from tests.property.strategies import COUNT_MAX, anchors, attempt, calendar_periods, instants, periods
from tests.support.builders import TICK

SECONDS = {Unit.SECOND: 1, Unit.MINUTE: 60, Unit.HOUR: 3_600, Unit.DAY: 86_400, Unit.WEEK: 604_800}
numbers = st.integers(0, 48)


def end_by_hand(period: Period, anchor: datetime, number: int) -> datetime:
    """Return the same end, computed differently: seconds are added, months try the days from the anchor's down."""
    if period.unit in SECONDS:
        return anchor + number * period.count * timedelta(seconds=SECONDS[period.unit])
    months = anchor.year * 12 + anchor.month - 1 + number * period.count * (12 if period.unit is Unit.YEAR else 1)
    for day in range(anchor.day, 27, -1):
        try:
            return anchor.replace(year=months // 12, month=months % 12 + 1, day=day)
        except ValueError:
            continue
    return anchor.replace(year=months // 12, month=months % 12 + 1)


@given(periods(), anchors, numbers)
@example(Period(1, Unit.MONTH), datetime(2024, 1, 31, tzinfo=UTC), 1)
@example(Period(1, Unit.YEAR), datetime(2096, 2, 29, tzinfo=UTC), 4)
def test_each_end_is_counted_from_the_anchor(period: Period, anchor: datetime, number: int) -> None:
    """The n-th end is n periods after the anchor, not one period after the previous end."""
    assert period.end(anchor, number) == end_by_hand(period, anchor, number)


@given(periods(), anchors, st.integers(1, 40))
def test_every_period_ends_later_than_the_one_before(period: Period, anchor: datetime, count: int) -> None:
    ends = [period.end(anchor, number) for number in range(count + 1)]
    assert ends[0] == anchor
    assert all(one < other for one, other in pairwise(ends))


@given(periods(), anchors, st.integers(1, 12), st.data())
def test_periods_have_no_gap_and_no_overlap(period: Period, anchor: datetime, count: int, data: st.DataObject) -> None:
    """Every instant from the anchor to the last end is in exactly one half-open period."""
    ends = [period.end(anchor, number) for number in range(count + 1)]
    edges = st.sampled_from([edge + step for edge in ends for step in (-TICK, timedelta(0), TICK)])
    within = st.datetimes(ends[0].replace(tzinfo=None), ends[-1].replace(tzinfo=None), timezones=st.just(UTC))
    instant = data.draw((edges | within).filter(lambda at: ends[0] <= at < ends[-1]))
    holding = [number for number in range(count) if ends[number] <= instant < ends[number + 1]]
    assert holding == [bisect_right(ends, instant) - 1]


@given(periods(), anchors, anchors, numbers)
def test_a_subscription_that_starts_later_never_ends_earlier(
    period: Period, one: datetime, other: datetime, number: int
) -> None:
    first, second = sorted([one, other])
    if period.unit in SECONDS or number == 0:
        assert period.end(second, number) - period.end(first, number) == second - first
    else:
        assert period.end(first, number).date() <= period.end(second, number).date()


@given(calendar_periods, anchors, numbers)
def test_an_end_is_on_the_day_of_the_anchor_or_on_the_last_of_a_short_month(
    period: Period, anchor: datetime, number: int
) -> None:
    """The time of day never changes."""
    end = period.end(anchor, number)
    assert end.timetz() == anchor.timetz()
    if end.day != anchor.day:
        assert end.day < anchor.day
        assert (end + timedelta(days=1)).day == 1


@given(st.integers(2000, 2200).filter(isleap), st.integers(1, 120))
def test_a_leap_day_anchor_ends_on_february_29_in_every_leap_year(year: int, years: int) -> None:
    """And on February 28 in all others; 2100 and 2200 are no leap years."""
    end = Period(1, Unit.YEAR).end(datetime(year, 2, 29, tzinfo=UTC), years)
    assert (end.year, end.month, end.day) == (year + years, 2, 29 if isleap(year + years) else 28)


@given(periods(), anchors, st.integers(1, 20), st.integers(1, 5))
def test_several_short_periods_end_where_one_long_period_ends(
    period: Period, anchor: datetime, number: int, times: int
) -> None:
    """Three periods of four months end where twelve months end."""
    if period.count * times <= COUNT_MAX[period.unit]:
        longer = Period(period.count * times, period.unit)
        assert longer.end(anchor, number) == period.end(anchor, number * times)
        assert longer.months == period.months * times


@given(anchors, st.integers(1, 100), numbers)
def test_periods_of_equal_length_in_different_units_have_the_same_ends(
    anchor: datetime, count: int, number: int
) -> None:
    """A year is 12 months, a week 7 days, a day 24 hours, an hour 60 minutes, a minute 60 seconds."""
    same = [("P{}Y", "P{}M", 12), ("P{}W", "P{}D", 7), ("P{}D", "PT{}H", 24), ("PT{}H", "PT{}M", 60)]
    for long, short, times in [*same, ("PT{}M", "PT{}S", 60)]:
        one, other = Period.parse(long.format(count)), Period.parse(short.format(count * times))
        assert one.end(anchor, number) == other.end(anchor, number)
        assert one.months == other.months


@given(periods())
def test_the_text_of_a_period_is_parsed_to_the_same_period(period: Period) -> None:
    assert Period.parse(str(period)) == period
    assert 0 < period.months <= 1_200


@given(st.text(max_size=12) | st.from_regex(r"[-+]?P?T?[0-9.,]{0,11}[SMHDWYsmhdwy]?[0-9]{0,2}[A-Z]?", fullmatch=True))
def test_every_text_is_rejected_or_the_only_text_of_its_period(text: str) -> None:
    period, refusal = attempt(lambda: Period.parse(text))
    if refusal is None:
        assert str(period) == text
    else:
        assert (refusal.pointer, refusal.others) == ("", ())


@given(st.sampled_from(Unit), st.integers(-5, 10**11))
def test_a_period_of_any_unit_lasts_at_most_a_hundred_years(unit: Unit, count: int) -> None:
    _, refusal = attempt(lambda: Period(count, unit))
    assert (refusal is None) == (1 <= count <= COUNT_MAX[unit])


@given(periods(), instants, st.integers(0, 2**40))
def test_an_end_after_the_calendar_is_rejected(period: Period, anchor: datetime, number: int) -> None:
    """For any number of periods, the result is an instant in the calendar or a validation error."""
    end, _ = attempt(lambda: period.end(anchor, number))
    if end is None:
        assert anchor.year + Fraction(number) * period.months / 12 > 9_990
    else:
        assert anchor <= end
