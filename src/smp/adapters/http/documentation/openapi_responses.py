"""The responses of the OpenAPI document: successes, and problems.

A problem that a caller programs against has the response of its status. All others, which any operation can have, share
the default response.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from smp.adapters.http.documentation.openapi_schemas import Document, example_of, reference
from smp.adapters.http.operation import Operation
from smp.adapters.http.problems.details import MEDIA_TYPE
from smp.adapters.http.problems.problem import Problem
from smp.adapters.http.problems.table import BY_SLUG
from smp.application.authorization import Audience

_OTHER: Final = (
    "malformed-request",
    "invalid-parameter",
    "forbidden",
    "cross-origin-request",
    "method-not-allowed",
    "request-timeout",
    "content-too-large",
    "uri-too-long",
    "unsupported-media-type",
    "headers-too-large",
    "internal-error",
    "service-unavailable",
    "database-busy",
    "transaction-conflict",
    "busy",
    "outcome-unknown",
)
"""The problems of the default response."""

HEADERS: Final[Document] = {
    "X-Request-Id": {
        "description": "The id of the request in the log: the one that the client sent, or a new one.",
        "required": True,
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "The version of the body, for `If-Match` and `If-None-Match`.",
        "required": True,
        "schema": {"type": "string", "examples": ['"3.1f2e3d4c"']},
    },
    "Location": {
        "description": "The path of what was created.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Idempotency-Replayed": {
        "description": "Present if this is the stored response to an earlier request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {
        "description": "The seconds to wait before the same request is sent again.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "schema": {"type": "string", "examples": ['Bearer realm="smp"']},
    },
    "Allow": {
        "description": "With status 405: the methods that the path has.",
        "schema": {"type": "string", "examples": ["GET, POST, OPTIONS, HEAD"]},
    },
    "Set-Cookie": {
        "description": "The cookie of the session, set or deleted.",
        "required": True,
        "schema": {"type": "string"},
    },
}
"""The headers of responses by name, for the components of the document."""

_OF_STATUS: Final = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}


def responses(operation: Operation, method: str, media_type: str, schemas: Document) -> Document:
    """Return the responses of an operation by status; ``media_type`` is that of a success without a model."""
    written = {str(status): _success(operation, status, media_type, schemas) for status in _statuses(operation)}
    if operation.etag and method == "get":
        written["304"] = {
            "description": "The client has this version already; there is no body.",
            "headers": _headers("ETag"),
        }
    problems = sorted(_problems(operation), key=attrgetter("status"))
    for status, group in groupby(problems, key=attrgetter("status")):
        written[str(status)] = _refusal(list(group), *_OF_STATUS.get(status, ()))
    return {**written, "default": {"$ref": "#/components/responses/OtherProblem"}}


def other_problem() -> Document:
    """Return the response that stands for all problems that any operation can have."""
    response = _refusal([BY_SLUG[slug] for slug in _OTHER], "Retry-After", "Allow")
    return {**response, "description": f"Any other problem:\n\n{response['description']}"}


def _statuses(operation: Operation) -> Iterable[int]:
    return sorted({operation.status, *operation.also})


def _success(operation: Operation, status: int, media_type: str, schemas: Document) -> Document:
    names = [
        *(["Location"] if status == 201 else []),  # noqa: PLR2004 - the status of that name
        *(["ETag"] if operation.etag else []),
        *(["Idempotency-Replayed"] if operation.idempotent else []),
        *(["Set-Cookie"] if operation.sets_cookie else []),
    ]
    written: Document = {"description": _description(operation, status), "headers": _headers(*names)}
    if operation.response is not None:
        schema = reference(operation.response)
        written["content"] = {"application/json": {"schema": schema, "example": example_of(schema, schemas)}}
    elif status != 204:  # noqa: PLR2004 - the status of that name
        written["content"] = {media_type: {"schema": {"type": "string"}}}
    return written


def _description(operation: Operation, status: int) -> str:
    if status in operation.also:
        return operation.also[status]
    if operation.response is None:
        return "It is done; there is no body." if status == 204 else "The text."  # noqa: PLR2004 - as above
    return (operation.response.__doc__ or "").partition("\n")[0]


def _problems(operation: Operation) -> Iterator[Problem]:
    slugs = [*operation.problems]
    if operation.permission.audience is not Audience.ANYONE:
        slugs.append("not-authenticated")
    if operation.permission.audience in {Audience.NO_ONE, Audience.OWNER} and not operation.about_caller:
        slugs.append("forbidden")
    if operation.query:
        slugs.append("invalid-parameter")
    if "cursor" in operation.query:
        slugs.append("invalid-cursor")
    if operation.request is not None:
        slugs.append("validation-failed")
    if operation.idempotent:
        slugs += ["request-in-progress", "idempotency-key-reused"]
    yield from (BY_SLUG[slug] for slug in dict.fromkeys(slugs))


def _refusal(problems: list[Problem], *headers: str) -> Document:
    lines = [f"`{problem.slug}`: {problem.explanation}" for problem in problems]
    examples = {problem.slug: {"summary": problem.title, "value": _example(problem)} for problem in problems}
    return {
        "description": lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines),
        "headers": _headers(*headers),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
    }


def _example(problem: Problem) -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": f"/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.explanation,
    }
    if problem.slug == "validation-failed":
        example["errors"] = [{"pointer": "/price/amount", "detail": "must be a whole number of at least 0"}]
    if problem.slug == "invalid-parameter":
        example["errors"] = [{"pointer": "/limit", "detail": "must be a whole number of at most 100"}]
    return example


def _headers(*names: str) -> Document:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, "X-Request-Id")}
