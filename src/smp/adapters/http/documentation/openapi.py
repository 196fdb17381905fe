"""The OpenAPI document: Litestar writes the routes and parameters, the operations complete it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag

from smp.adapters.http.operation import Operation
from smp.adapters.http.problems.details import MEDIA_TYPE
from smp.adapters.http.problems.problem import Problem
from smp.adapters.http.problems.table import BY_SLUG
from smp.adapters.http.wire import RequestModel, ResponseModel
from smp.application.authorization import Audience
from smp.application.caller import SERVICE_SCOPES

Document = dict[str, Any]

_UNAVAILABLE: Final = ("service-unavailable", "database-busy")
_ALWAYS: Final = ("invalid-parameter", "malformed-request", "internal-error", *_UNAVAILABLE, "transaction-conflict")
_BODY: Final = ("unsupported-media-type", "content-too-large", "request-timeout", "validation-failed")
_KEY: Final = ("idempotency-key-reused", "request-in-progress", "outcome-unknown")

PROBLEM_SCHEMA: Final[Document] = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "`/problems/<slug>`, which explains it."},
        "title": {"type": "string", "description": "The same for every problem of the type."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened this time."},
        "errors": {
            "type": "array",
            "description": "The bad fields, at most 20.",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "RFC 6901"},
                    "detail": {"type": "string"},
                },
            },
        },
        "errors_omitted": {"type": "integer", "description": "How many more bad fields there are."},
        "request_id": {"type": "string", "description": "Of an unexpected error: where the log has more."},
    },
}


def openapi_config(version: str, cookie_name: str) -> OpenAPIConfig:
    """Return the configuration from which Litestar makes the document."""
    return OpenAPIConfig(
        title="Subscription Management Platform",
        version=version,
        description=(
            "Accounts, plans, trials, subscriptions, and the question: may this user use this feature now?\n\n"
            "Instants are RFC 3339 in UTC; lists are paged by `next_cursor`; errors are problem details; "
            "every POST that changes something takes an `Idempotency-Key`; one plan or subscription carries an "
            "`ETag` for `If-Match`."
        ),
        path="/_openapi",
        render_plugins=[JsonRenderPlugin()],
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                "session": SecurityScheme(type="apiKey", name=cookie_name, security_scheme_in="cookie"),
                "api_key": SecurityScheme(type="http", scheme="bearer"),
            }
        ),
        tags=[Tag(name=name) for name in ("auth", "plans", "subscriptions", "access", "users", "statistics", "health")],
    )


def complete(
    document: Document, operations: Mapping[str, Operation], access: Mapping[str, Operation], public_url: str
) -> Document:
    """Return the document with every body, problem, header and credential of every operation.

    ``operations`` are those of Litestar's routes by id, ``access`` those of the access question by path.
    """
    document = msgspec.json.decode(msgspec.json.encode(document))
    document["paths"] = {path: item for path, item in document["paths"].items() if not path.startswith("/_openapi")}
    for path, operation in access.items():
        document["paths"][path] = {"get": _access_operation(path, operation)}
    schemas = document["components"].setdefault("schemas", {})
    for name, schema in _models([*operations.values(), *access.values()]).items():
        schemas.setdefault(name, schema)
    schemas["Problem"] = PROBLEM_SCHEMA
    _use_ecma_patterns(schemas)
    for path, item in document["paths"].items():
        for method, written in item.items():
            if isinstance(written, dict) and written.get("operationId") in operations:
                _complete(written, operations[written["operationId"]], method, path)
    if public_url:
        document["servers"] = [{"url": public_url}]
        _put_problems_below(document["paths"], urlsplit(public_url).path)
    return document


def _put_problems_below(node: Document, base_path: str) -> None:
    """Write the addresses of the problems in all examples as responses have them."""
    for key, value in node.items():
        if key == "type" and isinstance(value, str) and value.startswith("/problems/"):
            node[key] = base_path + value
        elif isinstance(value, dict):
            _put_problems_below(value, base_path)


def _models(operations: Iterable[Operation]) -> Document:
    """The schemas of all bodies; Litestar has written those that its handlers return."""
    models = {model for operation in operations for model in (operation.request, operation.response) if model}
    _, schemas = msgspec.json.schema_components(
        sorted(models, key=lambda model: model.__name__), ref_template="#/components/schemas/{name}"
    )
    return schemas


def _use_ecma_patterns(node: object) -> None:
    r"""Write patterns as JSON Schema has them: an end is ``$`` there, where Python's would let a last newline pass."""
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            node["pattern"] = node["pattern"].replace(r"\Z", "$")
        for value in node.values():
            _use_ecma_patterns(value)
    elif isinstance(node, list):
        for value in node:
            _use_ecma_patterns(value)


def _complete(written: Document, operation: Operation, method: str, path: str) -> None:
    written["description"] = f"{written.get('description', '')}\n\nFor {_callers(operation)}.".strip()
    written["security"] = _security(operation)
    parameters = written.setdefault("parameters", [])
    _add_path_parameters(parameters, path)
    _add_headers(parameters, operation, method)
    if operation.request is not None:
        written["requestBody"] = _request_body(operation, operation.request)
    responses = written["responses"]
    for status in [status for status in responses if int(status) >= 400]:  # noqa: PLR2004 - the first status of errors
        del responses[status]
    _describe_success(responses, operation)
    for problem in sorted(_problems(operation, method), key=lambda problem: problem.status):
        _add_problem(responses, problem)


def _access_operation(path: str, operation: Operation) -> Document:
    parameters: list[Document] = []
    _add_path_parameters(parameters, path)
    responses: Document = {"200": {"description": "The answer, also where access is denied."}}
    written: Document = {
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": f"For {_callers(operation)}.",
        "operationId": operation.id,
        "parameters": parameters,
        "security": _security(operation),
        "responses": responses,
    }
    _describe_success(responses, operation)
    for slug in (*operation.problems, "not-authenticated", "forbidden", "internal-error", *_UNAVAILABLE):
        _add_problem(responses, BY_SLUG[slug])
    return written


def _callers(operation: Operation) -> str:
    audience = operation.permission.audience
    if audience is Audience.ANYONE:
        return "anyone" if operation.is_public else "anyone; administrators see more"
    if operation.about_caller or audience is Audience.SIGNED_IN:
        return "a signed-in user"
    return "an administrator or a service" if _is_for_services(operation) else "an administrator"


def _security(operation: Operation) -> list[Document]:
    if operation.is_public:
        return []
    none: list[Document] = [{}] if operation.permission.audience is Audience.ANYONE else []
    api_key: list[Document] = [{"api_key": []}] if _is_for_services(operation) else []
    return [*none, {"session": []}, *api_key]


def _is_for_services(operation: Operation) -> bool:
    return operation.permission.scope in SERVICE_SCOPES and not operation.about_caller


def _add_path_parameters(parameters: list[Document], path: str) -> None:
    known = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
    named = (part[1:-1] for part in path.split("/") if part.startswith("{"))
    parameters.extend(
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in named
        if name not in known
    )


def _add_headers(parameters: list[Document], operation: Operation, method: str) -> None:
    def header(name: str, description: str) -> None:
        schema = {"type": "string", "minLength": 1, "maxLength": 255}
        parameters.append(
            {"name": name, "in": "header", "required": False, "description": description, "schema": schema}
        )

    if operation.idempotent:
        header("Idempotency-Key", "The same key and request within 24 hours get the first answer again.")
    if operation.etag and method == "get":
        header("If-None-Match", "304 where the version is still this one.")
    if operation.if_match:
        header("If-Match", "412 where the version is not this one any more.")


def _request_body(operation: Operation, model: type[RequestModel]) -> Document:
    media_types = ["application/json", *(["application/merge-patch+json"] if operation.merge_patch else [])]
    content = {media_type: {"schema": _reference(model)} for media_type in media_types}
    return {"content": content, "required": not operation.request_optional}


def _describe_success(responses: Document, operation: Operation) -> None:
    if operation.response is None:
        return
    content = {"application/json": {"schema": _reference(operation.response)}}
    headers = {"ETag": {"description": "The version.", "schema": {"type": "string"}}} if operation.etag else {}
    for status in [*responses, *map(str, operation.also)]:
        responses.setdefault(status, {"description": operation.also.get(int(status), "")})
        responses[status]["content"] = content
        if headers:
            responses[status].setdefault("headers", {}).update(headers)


def _reference(model: type[RequestModel | ResponseModel]) -> Document:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _problems(operation: Operation, method: str) -> Iterator[Problem]:
    slugs = [*operation.problems, *_ALWAYS]
    if operation.permission.audience is not Audience.ANYONE:
        slugs += ["not-authenticated", "forbidden"]
    if method in ("post", "put", "patch", "delete"):
        slugs.append("cross-origin-request")
    if operation.request is not None:
        slugs += _BODY
    if operation.idempotent:
        slugs += _KEY
    yield from (BY_SLUG[slug] for slug in dict.fromkeys(slugs))


def _add_problem(responses: Document, problem: Problem) -> None:
    response = responses.setdefault(str(problem.status), {"description": "", "content": {}})
    response["description"] = "; ".join(filter(None, (response["description"], f"`{problem.slug}`: {problem.title}")))
    content = response["content"].setdefault(
        MEDIA_TYPE, {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
    )
    content["examples"][problem.slug] = {
        "value": {
            "type": f"/problems/{problem.slug}",
            "title": problem.title,
            "status": problem.status,
            "detail": problem.explanation,
        }
    }
