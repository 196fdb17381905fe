"""A rejected body lists every bad field, with the values that are allowed."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from smp.adapters.http.api.plans.schemas import PlanIn
from smp.adapters.http.api.subscriptions.schemas import CancelIn
from smp.adapters.http.api.test_clock.schemas import ClockIn
from smp.adapters.http.problems.rejection import RequestRejected
from smp.adapters.http.validation import ERRORS_MAX, convert, plain

PLAN = {"code": "pro", "name": "Pro", "price": {"amount": 1, "currency": "USD"}}


def bad_fields(model: type[msgspec.Struct], document: object) -> Mapping[str, str]:
    with pytest.raises(RequestRejected) as refused:
        convert(model, document)
    assert refused.value.slug == "validation-failed"
    return {error.pointer: error.detail for error in refused.value.errors}


def test_an_unknown_choice_is_rejected_with_the_allowed_values() -> None:
    assert bad_fields(CancelIn, {"at": "never"}) == {"/at": "must be `now` or `period_end`"}


def test_all_bad_fields_are_reported_at_once() -> None:
    document = {"name": 7, "price": {"amount": -1, "currency": "USD", "tax": 1}, "features": {"Seats": 1}}
    assert bad_fields(PlanIn, document) == {
        "/code": "is required",
        "/name": "must be text",
        "/price/amount": "must be an integer of at least 0",
        "/price/tax": "is not a known field",
        "/features/Seats": "must be a key of a-z, 0-9, _ . - that begins with a letter",
    }


def test_an_instant_must_have_an_offset() -> None:
    for value in ("2027-01-31T12:00:00", "tomorrow"):
        assert bad_fields(ClockIn, {"now": value})["/now"].startswith("must be an RFC 3339 instant with an offset")


def test_a_problem_lists_at_most_100_fields() -> None:
    unknown = {f"field{n}": 1 for n in range(ERRORS_MAX + 50)}
    assert len(bad_fields(PlanIn, PLAN | unknown)) == ERRORS_MAX


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        ("Expected `int`, got `str`", "must be an integer"),
        ("Expected `int` >= 1", "must be an integer of at least 1"),
        ("Expected `int` <= 100 - at `$.limit`", "must be an integer of at most 100"),
        ("Expected `str` of length <= 320", "must be text of at most 320 characters"),
        ("Expected `object` of length <= 200", "must be an object of at most 200 fields"),
        ("Expected `str | null`, got `int`", "must be text or `null`"),
    ],
)
def test_messages_of_the_validator_are_replaced_by_plain_english(message: str, detail: str) -> None:
    assert plain(message) == detail
