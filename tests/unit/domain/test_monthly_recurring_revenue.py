"""Monthly recurring revenue of active subscriptions that have a price and a period."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from smp.application.queries.get_statistics import monthly_recurring_revenue
from smp.application.queries.views import Revenue, RevisionRevenue, TrialCounts
from smp.domain.money import AMOUNT_MAX, Money
from smp.domain.period import Period


def part(amount: int, period: str, active: int, currency: str = "USD") -> RevisionRevenue:
    """Return the revenue part of so many active subscriptions of one revision at this price."""
    return RevisionRevenue(Money(amount, currency), Period.parse(period), active)


@pytest.mark.parametrize(
    ("parts", "amount"),
    [
        ([part(1_990, "P1M", 1)], 1_990),
        ([part(1_990, "P1M", 3)], 5_970),
        ([part(12_000, "P1Y", 1)], 1_000),
        ([part(30_000, "P3M", 1)], 10_000),
        ([part(487, "P16D", 1)], 926),  # 487 * 30.4375 / 16 = 926.4…
        ([part(100, "P1D", 1)], 3_044),  # 3043.75
        ([part(700, "P1W", 1)], 3_044),
        ([part(16, "P487D", 1)], 1),
        ([part(100, "PT12H", 1)], 6_088),  # 6087.5, half up
        ([part(6, "P1Y", 1)], 1),  # 0.5, half up and not to the even 0
        ([part(18, "P1Y", 1)], 2),  # 1.5
        ([part(30, "P1Y", 1)], 3),  # 2.5, half up and not to the even 2
        ([part(5, "P1Y", 1)], 0),
        ([part(0, "P1M", 100)], 0),
    ],
)
def test_revenue_is_divided_by_the_months_of_the_period_and_rounded_half_up(
    parts: Sequence[RevisionRevenue], amount: int
) -> None:
    """A year is 12 months, a month 30.4375 days."""
    assert monthly_recurring_revenue(parts) == [Revenue(amount, "USD")]


def test_revenue_is_rounded_once_at_the_end() -> None:
    """Twelve plans of a third of a cent are four cents, not zero; two of half a cent are one cent, not two."""
    assert monthly_recurring_revenue([part(1, "P3M", 1)] * 12) == [Revenue(4, "USD")]
    assert monthly_recurring_revenue([part(6, "P1Y", 1)] * 2) == [Revenue(1, "USD")]


def test_revenue_is_one_sum_for_each_currency_in_the_order_of_the_codes() -> None:
    parts = [part(500, "P1M", 2, "USD"), part(700, "P1M", 1, "EUR"), part(12_000, "P1Y", 1, "USD")]
    assert monthly_recurring_revenue(parts) == [Revenue(700, "EUR"), Revenue(2_000, "USD")]


def test_without_active_paid_subscriptions_there_is_no_revenue() -> None:
    assert monthly_recurring_revenue([]) == []


def test_sums_are_exact_and_unbounded() -> None:
    """The largest price times a million, plus one: no floating point is involved."""
    parts = [part(AMOUNT_MAX, "P1M", 1_000_000), part(1, "P1M", 1)]
    assert monthly_recurring_revenue(parts) == [Revenue(AMOUNT_MAX * 1_000_000 + 1, "USD")]


@pytest.mark.parametrize(
    ("started", "running", "converted", "lost", "rate"),
    [
        (0, 0, 0, 0, None),
        (5, 5, 0, 0, None),
        (5, 0, 5, 0, 1.0),
        (5, 0, 0, 5, 0.0),
        (10, 2, 2, 6, 0.25),
        (4, 1, 2, 1, 2 / 3),
    ],
)
def test_the_conversion_rate_counts_finished_trials_only(
    started: int, running: int, converted: int, lost: int, rate: float | None
) -> None:
    """Running trials are not in the denominator. Without a finished trial there is no rate."""
    counts = TrialCounts(started, running, converted)
    assert (counts.lost, counts.conversion_rate) == (lost, rate)
