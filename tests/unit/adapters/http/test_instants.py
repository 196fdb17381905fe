"""The texts that name an instant."""

from __future__ import annotations

import pytest

from smp.adapters.http.parameters import parse_instant


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2027-01-31T12:00:00Z", "2027-01-31T12:00:00+00:00"),
        ("2027-01-31T12:00:00+05:30", "2027-01-31T06:30:00+00:00"),
        ("2027-01-31t12:00:00.25z", "2027-01-31T12:00:00.250000+00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00"),
        ("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.500000+00:00"),
        ("2016-12-31T15:59:60-08:00", "2017-01-01T00:00:00+00:00"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999+00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
    ],
)
def test_a_text_names_one_instant_of_utc(text: str, instant: str) -> None:
    assert parse_instant(text).isoformat() == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2027-01-31",
        "2027-01-31T12:00:00",
        "2027-02-30T12:00:00Z",
        "2027-01-31T12:00:61Z",
        "2027-01-31T12:60:60Z",
        "2027-01-31T24:00:00Z",
        "9999-12-31T23:59:60Z",
        "9999-12-31T23:59:59.9999999Z",
        "9999-12-31T23:59:59.999999-23:59",
        "0001-01-01T00:00:00+00:01",
        "10000-01-01T00:00:00Z",
        ":60" * 20_000,
    ],
)
def test_any_other_text_names_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match="not an instant"):
        parse_instant(text)
