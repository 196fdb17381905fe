"""A rejected body lists every bad field, with the values that are allowed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
import pytest
from msgspec.structs import fields

from smp.adapters.http.api.auth.schemas import LoginIn, RegisterIn
from smp.adapters.http.api.plans.schemas import PlanIn
from smp.adapters.http.api.subscriptions.schemas import CancelIn
from smp.adapters.http.problems.details import ProblemDetails, details
from smp.adapters.http.problems.rejection import RequestRejected
from smp.adapters.http.validation import convert, plain
from smp.adapters.http.wire import RequestModel
from tests.support.openapi import operations, resolved

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
        "/price/amount": "must be a whole number of at least 0",
        "/price/tax": "is not a known field",
        "/features/Seats": "must be a key of a-z, 0-9, _ . - that begins with a letter",
    }


def test_a_problem_lists_at_most_20_bad_fields_and_says_how_many_more_there_are() -> None:
    unknown = {f"field{n}": 1 for n in range(25)}
    with pytest.raises(RequestRejected) as refused:
        convert(PlanIn, PLAN | unknown)
    problem = details(refused.value)
    assert problem is not None
    document = json.loads(problem.answer().body)
    assert (len(document["errors"]), document["errors_omitted"]) == (20, 5)
    few = ProblemDetails(problem.problem, "", {}, problem.errors[:20])
    assert "errors_omitted" not in json.loads(few.answer().body)


def test_an_object_with_too_many_fields_is_one_bad_field() -> None:
    features = {f"Not a key {n}": 1 for n in range(201)}
    assert bad_fields(PlanIn, PLAN | {"features": features}) == {"/features": "must be an object of at most 200 fields"}


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        ("Expected `int`, got `str`", "must be a whole number"),
        ("Expected `int` >= 1", "must be a whole number of at least 1"),
        ("Expected `int` <= 100 - at `$.limit`", "must be a whole number of at most 100"),
        ("Expected `str` of length <= 320", "must be text of at most 320 characters"),
        ("Expected `object` of length <= 200", "must be an object of at most 200 fields"),
        ("Expected `str | null`, got `int`", "must be text or `null`"),
        ("Expected `int`, got `float`", "must be a whole number"),
        ("Expected `str` of length >= 1", "must be text of at least 1 character"),
        ("Expected `array` of length <= 3", "must be a list of at most 3 items"),
        ("Expected `float` > 0", "must be a number of more than 0"),
        ("Expected `uuid`, got `int`", "must be a UUID"),
        ("Invalid UUID - at `$.user_id`", "must be a UUID"),
        (
            "Invalid RFC3339 encoded datetime",
            "must be an RFC 3339 instant with a time zone, such as 2027-01-31T12:00:00Z",
        ),
        ("Expected `int` that's a multiple of 5", "must be a value that the documentation allows"),
        ("Integer value out of range", "must be a value that the documentation allows"),
    ],
)
def test_messages_of_the_validator_are_replaced_by_plain_english(message: str, detail: str) -> None:
    assert plain(message) == detail


MODELS: Final = sorted(
    {
        resolved(content["schema"])["title"]
        for _, _, operation in operations()
        for content in operation.get("requestBody", {}).get("content", {}).values()
    }
)
WRONG: Final[tuple[object, ...]] = (
    None,
    True,
    7,
    -1,
    10**30,
    1.5,
    "",
    " ",
    "\x00",
    "x" * 3_000,
    [],
    {},
    {"X": [1]},
    {"x": None},
)
PLAIN: Final = re.compile(r"must be \S.*|must have \S.*|is required|is not a known field|needs .*")
OF_VALIDATOR: Final = re.compile(r"Expected|got `|Invalid|`(?:int|str|float|bool|object|array|null \|)`|regex|\$\.|\^")


@pytest.mark.parametrize("name", MODELS)
def test_every_wrong_value_of_every_body_is_refused_in_plain_words(name: str) -> None:
    """Each member of each model, with a value of each type, too small and too large; and every other body."""
    (model,) = (each for each in subclasses(RequestModel) if each.__name__ == name)
    documents: list[object] = [*WRONG, *({field.encode_name: wrong} for field in fields(model) for wrong in WRONG)]
    documents += [{field.encode_name: {"unknown": 1}} for field in fields(model)]
    details = set()
    for document in documents:
        try:
            convert(model, document)
        except RequestRejected as refused:
            details |= {error.detail for error in refused.errors}
    assert details
    assert [detail for detail in details if not PLAIN.fullmatch(detail) or OF_VALIDATOR.search(detail)] == []


def subclasses(parent: type[RequestModel]) -> Iterator[type[RequestModel]]:
    for child in parent.__subclasses__():
        yield child
        yield from subclasses(child)


def test_a_text_that_is_normalized_is_refused_when_it_is_too_long() -> None:
    """The time of normalization is quadratic in the length, and it stops all other work of the process."""
    for password, email in (("x" * 1_025, "a@b.c"), ("x" * 1_024, "a" * 1_001)):
        for model in (LoginIn, RegisterIn):
            assert len(bad_fields(model, {"email": email, "password": password})) == 1
