"""Strategies for the values of the domain. They are valid unless the name says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final, TypeVar

from hypothesis import strategies as st

from smp.domain.errors import ValidationError
from smp.domain.events import Actor, ActorType, EventMetadata
from smp.domain.features import FEATURES_MAX, KEY_PATTERN, LIMIT_MAX, TEXT_MAX, features
from smp.domain.money import AMOUNT_MAX, Money
from smp.domain.period import Period, Unit
from smp.domain.plan.plan import PlanRevision, Terms
from tests.support.builders import TICK

CENTURY_S: Final = 3_155_760_000

COUNT_MAX: Final = {
    Unit.SECOND: CENTURY_S,
    Unit.MINUTE: CENTURY_S // 60,
    Unit.HOUR: CENTURY_S // 3_600,
    Unit.DAY: CENTURY_S // 86_400,
    Unit.WEEK: CENTURY_S // (7 * 86_400),
    Unit.MONTH: 1_200,
    Unit.YEAR: 100,
}
"""How many of each unit a hundred years of 365.25 days hold."""

ids = st.uuids()
instants = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
month_ends = st.builds(
    lambda month, day, time: datetime(month.year, month.month, 1, tzinfo=UTC) + timedelta(days=day - 1) + time,
    st.dates(datetime(2000, 1, 1, tzinfo=UTC).date(), datetime(2200, 1, 1, tzinfo=UTC).date()),
    st.integers(27, 31),
    st.timedeltas(timedelta(0), timedelta(days=1) - TICK),
)
anchors = instants | month_ends
"""Any instant, with the ends of months more often than they come by."""


@st.composite
def periods(draw: st.DrawFn, units: Sequence[Unit] = tuple(Unit)) -> Period:
    """Draw periods of any unit; small ones are as likely as those up to a hundred years."""
    unit = draw(st.sampled_from(units))
    return Period(draw(st.integers(1, min(40, COUNT_MAX[unit])) | st.integers(1, COUNT_MAX[unit])), unit)


calendar_periods = periods([Unit.MONTH, Unit.YEAR])
money = st.builds(
    Money, st.integers(0, 10_000) | st.integers(0, AMOUNT_MAX), st.sampled_from(["USD", "EUR", "JPY", "KWD"])
)
storable_texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)
feature_values = (
    st.booleans() | st.integers(0, 2) | st.integers(0, LIMIT_MAX) | storable_texts | st.just("x" * TEXT_MAX)
)
feature_keys = st.sampled_from(["export", "seats", "support"]) | st.from_regex(KEY_PATTERN, fullmatch=True)
feature_maps = st.dictionaries(feature_keys, feature_values, max_size=min(6, FEATURES_MAX)).map(features)
terms = st.builds(Terms, money, st.none() | periods(), st.none() | periods(), feature_maps)
revisions = st.builds(PlanRevision, ids, st.integers(1, 1_000), terms, instants)
actors = st.builds(Actor, st.sampled_from([ActorType.USER, ActorType.ADMIN, ActorType.SERVICE]), ids) | st.just(
    Actor(ActorType.SYSTEM, None)
)
new_metadata = st.builds(EventMetadata, instants, actors, ids)


Made = TypeVar("Made")


def attempt(make: Callable[[], Made]) -> tuple[Made | None, ValidationError | None]:
    """Return the value, or the validation error; any other exception fails the test."""
    try:
        return make(), None
    except ValidationError as refusal:
        return None, refusal


def half_up(exact: Fraction) -> int:
    """Return the nearest integer, half rounded up, computed with whole numbers."""
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)
