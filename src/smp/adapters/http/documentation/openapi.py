"""The OpenAPI document: what Litestar knows of the routes, completed from the table of problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag

from smp.adapters.http.access.app import AccessRoute
from smp.adapters.http.authentication import Who
from smp.adapters.http.problems import BY_SLUG, MEDIA_TYPE, Problem

Document = dict[str, Any]

_ALWAYS: Final = ("invalid-parameter", "malformed-request", "internal-error", "service-unavailable")
_BODY: Final = ("unsupported-media-type", "content-too-large", "request-timeout", "validation-failed")
_KEY: Final = ("idempotency-key-reused", "request-in-progress", "outcome-unknown")
_KEYLESS: Final = frozenset({"logIn", "logOut"})

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
            "description": "Every bad field.",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "RFC 6901"},
                    "detail": {"type": "string"},
                },
            },
        },
        "request_id": {"type": "string", "description": "Of an unexpected error: where the log tells more."},
    },
}


def openapi_config(version: str, cookie_name: str) -> OpenAPIConfig:
    """What Litestar is to make the document from."""
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


def complete(document: Document, handlers: Mapping[str, HTTPRouteHandler], gate: Sequence[AccessRoute]) -> Document:
    """The document with every problem, header and credential of every operation; ``handlers`` by operation id."""
    document = msgspec.json.decode(msgspec.json.encode(document))
    document["paths"] = {path: item for path, item in document["paths"].items() if not path.startswith("/_openapi")}
    schemas = document["components"].setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    for route in gate:
        document["paths"][route.path] = {"get": _gate_operation(route)}
    answers = [handler.opt["answers"] for handler in handlers.values() if "answers" in handler.opt]
    _, answered = msgspec.json.schema_components(
        [*answers, *(route.answers for route in gate)], ref_template="#/components/schemas/{name}"
    )
    schemas.update({name: schema for name, schema in answered.items() if name not in schemas})
    _speak_ecma(schemas)
    for path, item in list(document["paths"].items()):
        for method, operation in item.items():
            if isinstance(operation, dict) and operation.get("operationId") in handlers:
                _complete(operation, handlers[operation["operationId"]], method, path)
    return document


def _speak_ecma(node: object) -> None:
    r"""Write patterns as JSON Schema has them: an end is ``$`` there, where Python's would let a last newline pass."""
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            node["pattern"] = node["pattern"].replace(r"\Z", "$")
        for value in node.values():
            _speak_ecma(value)
    elif isinstance(node, list):
        for value in node:
            _speak_ecma(value)


def _complete(operation: Document, handler: HTTPRouteHandler, method: str, path: str) -> None:
    who = Who(handler.opt["who"])
    operation["description"] = f"{operation.get('description', '')}\n\nFor {who.value}.".strip()
    operation["security"] = _security(who)
    parameters = operation.setdefault("parameters", [])
    _add_path_parameters(parameters, path)
    _add_headers(operation, parameters, handler, method)
    responses = operation["responses"]
    for status in [status for status in responses if int(status) >= 400]:  # noqa: PLR2004 - the first status of errors
        del responses[status]
    _describe_success(responses, handler)
    for problem in sorted(_problems(operation, handler, who, method), key=lambda problem: problem.status):
        _add_problem(responses, problem)


def _gate_operation(route: AccessRoute) -> Document:
    parameters: list[Document] = []
    _add_path_parameters(parameters, route.path)
    operation: Document = {
        "tags": ["access"],
        "summary": route.summary,
        "description": f"For {route.who.value}.",
        "operationId": route.operation_id,
        "parameters": parameters,
        "security": _security(route.who),
        "responses": {
            "200": {
                "description": "The answer, also where access is denied.",
                "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{route.answers.__name__}"}}},
            }
        },
    }
    for slug in (*route.problems, "not-authenticated", "forbidden", "internal-error", "service-unavailable"):
        _add_problem(operation["responses"], BY_SLUG[slug])
    return operation


def _security(who: Who) -> list[Document]:
    session: Document = {"session": []}
    api_key: Document = {"api_key": []}
    return {
        Who.ANYONE: [],
        Who.ANYONE_OR_ADMIN: [{}, session],
        Who.SESSION: [session],
        Who.ADMIN: [session],
        Who.ADMIN_OR_SERVICE: [session, api_key],
    }[who]


def _add_path_parameters(parameters: list[Document], path: str) -> None:
    known = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
    named = (part[1:-1] for part in path.split("/") if part.startswith("{"))
    parameters.extend(
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in named
        if name not in known
    )


def _takes_key(operation: Document, method: str) -> bool:
    return method == "post" and operation["operationId"] not in _KEYLESS


def _add_headers(operation: Document, parameters: list[Document], handler: HTTPRouteHandler, method: str) -> None:
    def header(name: str, description: str) -> None:
        schema = {"type": "string", "minLength": 1, "maxLength": 255}
        parameters.append(
            {"name": name, "in": "header", "required": False, "description": description, "schema": schema}
        )

    if _takes_key(operation, method):
        header("Idempotency-Key", "The same key and request within 24 hours get the first answer again.")
    if handler.opt.get("etag") and operation["operationId"] != "createPlan":
        if method == "get":
            header("If-None-Match", "304 where the version is still this one.")
        else:
            header("If-Match", "412 where the version is not this one any more.")
    if method == "patch" and operation["operationId"] == "changePlan":
        content = operation["requestBody"]["content"]
        content["application/merge-patch+json"] = content["application/json"]


def _describe_success(responses: Document, handler: HTTPRouteHandler) -> None:
    answers = handler.opt.get("answers")
    if answers is None:
        return
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{answers.__name__}"}}}
    headers = {"ETag": {"description": "The version.", "schema": {"type": "string"}}} if handler.opt.get("etag") else {}
    for status in [*responses, *map(str, handler.opt.get("also", {}))]:
        responses.setdefault(status, {"description": handler.opt.get("also", {}).get(int(status), "")})
        responses[status]["content"] = content
        responses[status].setdefault("headers", {}).update(headers)


def _problems(operation: Document, handler: HTTPRouteHandler, who: Who, method: str) -> Iterator[Problem]:
    slugs = [*handler.opt.get("problems", ()), *_ALWAYS]
    if who in (Who.SESSION, Who.ADMIN, Who.ADMIN_OR_SERVICE):
        slugs += ["not-authenticated", "forbidden"]
    if method in ("post", "put", "patch", "delete"):
        slugs.append("cross-origin-request")
    if "requestBody" in operation:
        slugs += _BODY
    if _takes_key(operation, method):
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
