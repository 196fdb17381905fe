"""The OpenAPI document as programs and people read it: complete, without contradictions and without noise."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Any, Final

import jsonschema_rs
import pytest

from smp.adapters.http.problems.table import PROBLEMS
from smp.application.commands.cancel_subscription import CancelAt
from smp.domain.access import Reason
from smp.domain.events import ActorType
from smp.domain.plan.plan import PlanStatus
from smp.domain.subscription.lifecycle import Status, SubscriptionEventType
from smp.domain.user.user import Role
from tests.support.openapi import Json, openapi_document, operations, resolved, unconnected, with_components

SUCCESSES: Final = {"200", "201", "204"}
CHANGES: Final = {"post", "put", "patch", "delete"}
PROBLEM: Final = "application/problem+json"


def test_every_operation_has_a_unique_id_and_explains_itself() -> None:
    """A summary, one or more full sentences, and who may use it."""
    found = list(operations())
    ids = [operation["operationId"] for _, _, operation in found]
    assert len(set(ids)) == len(ids)
    for _, path, operation in found:
        summary, description = operation["summary"], operation["description"]
        assert len(summary.split()) > 1 or summary in {"Sign in", "Sign out"}, path
        assert re.match(r"[A-Z].{30,}\.", description.replace("\n", " ")), (path, description)
        assert re.search(r"^For .*\.$", description, re.MULTILINE), (path, description)


def test_an_operation_that_takes_a_key_or_a_tag_says_what_it_is_for() -> None:
    for _, path, operation in operations():
        names = {parameter["name"] for parameter in operation["parameters"]}
        text = operation["description"]
        assert ("Idempotency-Key" in names) == ("`Idempotency-Key`" in text), path
        assert ("If-Match" in names) == ("`If-Match`" in text), path


def test_cancel_warns_first_that_an_empty_body_cancels_now() -> None:
    (_, _, operation) = next(found for found in operations() if found[2]["operationId"] == "cancel")
    first, *_ = operation["description"].splitlines()
    assert "Warning: without a body, access ends at once" in first
    assert operation["requestBody"]["required"] is False


def test_every_success_has_a_description_and_an_example_that_its_schema_allows() -> None:
    for _, path, operation in operations():
        successes = operation["responses"].keys() & SUCCESSES
        assert successes, path
        for status in successes:
            response = operation["responses"][status]
            assert response["description"], path
            assert ("content" in response) == (status != "204"), path
            check_examples(response.get("content", {}), path)


def test_every_body_has_an_example_that_its_schema_allows() -> None:
    for _, path, operation in operations():
        check_examples(operation.get("requestBody", {}).get("content", {}), path)


def check_examples(content: Json, path: str) -> None:
    for media_type, part in content.items():
        if media_type != "text/plain":
            validator = jsonschema_rs.validator_for(with_components(part["schema"]), validate_formats=True)
            validator.validate(part["example"])
            assert part["example"] is not None, path


def test_a_body_whose_members_are_all_optional_can_be_left_out() -> None:
    """Except for a patch, which says nothing without members."""
    for method, path, operation in operations():
        if "requestBody" in operation and method != "patch":
            schema = resolved(operation["requestBody"]["content"]["application/json"]["schema"])
            assert operation["requestBody"]["required"] == bool(schema["required"]), path


def test_problems_have_one_schema_and_each_response_says_which_problems_it_is() -> None:
    """Few responses: those that a caller programs against, and one for all others."""
    slugs = {problem.slug: problem.status for problem in PROBLEMS}
    for _, path, operation in operations():
        refusals = {status: each for status, each in operation["responses"].items() if status[0] not in "23"}
        assert len(refusals) <= 9, path
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/OtherProblem"}
        descriptions = set()
        for status, refusal in refusals.items():
            response = resolved(refusal)
            assert list(response["content"]) == [PROBLEM], path
            assert response["content"][PROBLEM]["schema"] == {"$ref": "#/components/schemas/Problem"}
            for slug, example in response["content"][PROBLEM]["examples"].items():
                assert f"`{slug}`" in response["description"]
                assert status in {"default", str(slugs[slug])}
                assert example["value"]["status"] == slugs[slug]
                validator = jsonschema_rs.validator_for(with_components({"$ref": "#/components/schemas/Problem"}))
                validator.validate(example["value"])
            descriptions.add(response["description"])
        assert len(descriptions) == len(refusals), path


def test_every_problem_is_in_the_document() -> None:
    """Except for the path that does not exist, which has no operation, and for the clocks, on which jobs insist."""
    text = json.dumps(openapi_document())
    missing = {problem.slug for problem in PROBLEMS if f'"{problem.slug}"' not in text}
    assert missing == {"not-found", "clocks-differ"}


def test_responses_declare_their_headers() -> None:
    for method, path, operation in operations():
        names = {parameter["name"] for parameter in operation["parameters"]}
        for status, response in operation["responses"].items():
            headers = resolved(response)["headers"]
            assert "X-Request-Id" in headers, path
            assert ("Location" in headers) == (status == "201"), path
            assert ("Retry-After" in headers) == (status in {"429", "503", "default"}), path
            assert ("WWW-Authenticate" in headers) == (status == "401"), path
            assert ("Idempotency-Replayed" in headers) == ("Idempotency-Key" in names and status in SUCCESSES), path
            assert ("ETag" in headers) >= (status == "304"), path
            if method in CHANGES and "If-Match" in names:
                assert ("ETag" in headers) == (status in SUCCESSES), path
        assert ("304" in operation["responses"]) == ("If-None-Match" in names), path


@pytest.mark.parametrize(
    ("place", "choices"),
    [
        (("SubscriptionOut", "status"), Status),
        (("AccessOut", "status"), Status),
        (("AllAccessOut", "status"), Status),
        (("AccessOut", "reason"), Reason),
        (("UserOut", "role"), Role),
        (("UserPatchIn", "role"), Role),
        (("PlanOut", "status"), PlanStatus),
        (("EventOut", "type"), SubscriptionEventType),
        (("ActorOut", "type"), ActorType),
        (("CancelIn", "at"), CancelAt),
    ],
)
def test_a_field_with_fixed_choices_lists_them(place: tuple[str, str], choices: type[StrEnum]) -> None:
    model, field = place
    schema = openapi_document()["components"]["schemas"][model]["properties"][field]
    listed = resolved(next((option for option in schema.get("anyOf", []) if "$ref" in option), schema))["enum"]
    assert set(listed) == {choice.value for choice in choices}


def test_instants_and_ids_have_their_formats() -> None:
    """In every body and parameter, by their names."""
    places = [
        (f"{name}.{field}", schema)
        for name, model in openapi_document()["components"]["schemas"].items()
        for field, schema in model.get("properties", {}).items()
    ]
    places += [
        (f"{path} {parameter['name']}", parameter["schema"])
        for _, path, operation in operations()
        for parameter in operation["parameters"]
        if parameter["in"] != "header"
    ]
    for place, schema in places:
        name = re.split(r"[. ]", place)[-1]
        options = schema.get("anyOf", [schema])
        formats = {option.get("format") for option in options if option.get("type") != "null"}
        if name.endswith(("_at", "_before", "_after")) or name in {"until", "now", "as_of"}:
            assert formats == {"date-time"}, place
        elif (name == "id" or name.endswith("_id")) and name != "request_id":
            assert formats == {"uuid"}, place


def test_parameters_are_described_and_cannot_be_null() -> None:
    for _, path, operation in operations():
        for parameter in operation["parameters"]:
            assert parameter["description"].endswith("."), (path, parameter)
            assert "null" not in json.dumps(parameter["schema"]), (path, parameter)
        named = set(re.findall(r"{(\w+)}", path))
        assert named == {one["name"] for one in operation["parameters"] if one["in"] == "path"}, path


def test_every_reference_can_be_resolved_and_every_component_is_used() -> None:
    text = json.dumps(openapi_document())
    references = set(re.findall(r'"\$ref": "#/components/([^"]+)"', text))
    components = openapi_document()["components"]
    parts = {f"{kind}/{name}" for kind in ("schemas", "headers", "responses") for name in components[kind]}
    assert references == parts
    for schema in components["schemas"].values():
        jsonschema_rs.validator_for(with_components(schema))


def test_every_scheme_of_authentication_is_used_and_described() -> None:
    schemes = openapi_document()["components"]["securitySchemes"]
    used = {name for _, _, operation in operations() for requirement in operation["security"] for name in requirement}
    assert used == schemes.keys()
    assert all(scheme["description"] for scheme in schemes.values())


async def test_options_lists_the_methods_of_every_path() -> None:
    async with unconnected() as client:
        for path, item in openapi_document()["paths"].items():
            answer = await client.options(re.sub(r"{\w+}", "x", path))
            listed = {method.strip() for method in answer.headers["allow"].split(",")}
            head: set[Any] = {"HEAD"} if "get" in item else set()
            assert (answer.status_code, listed) == (204, {*map(str.upper, item), "OPTIONS", *head}), path
