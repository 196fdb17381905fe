"""One operation of the OpenAPI document: its text, parameters, credentials and body."""

from __future__ import annotations

from typing import Final

from smp.adapters.http.documentation.openapi_responses import responses
from smp.adapters.http.documentation.openapi_schemas import Document, example_of, reference
from smp.adapters.http.operation import Operation
from smp.adapters.http.wire import RequestModel
from smp.application.authorization import Audience
from smp.application.caller import SERVICE_SCOPES
from smp.domain.features import KEY_PATTERN

_IDEMPOTENT: Final = (
    "To repeat the request safely, send it with an `Idempotency-Key`: within 24 hours the same key and request get the "
    "first success again, and nothing happens twice."
)
_IF_MATCH: Final = "With `If-Match`, it is refused if somebody else has changed it since you read it."
_UUID: Final[Document] = {"type": "string", "format": "uuid"}
_PATH_PARAMETERS: Final[Document] = {
    "user_id": {"description": "The user's id.", "schema": _UUID},
    "session_id": {"description": "The session's id.", "schema": _UUID},
    "subscription_id": {"description": "The subscription's id.", "schema": _UUID},
    "plan": {"description": "The plan's code or id.", "schema": {"type": "string", "minLength": 1}, "example": "pro"},
    "feature": {
        "description": "The feature's key.",
        "schema": {"type": "string", "pattern": f"^{KEY_PATTERN}$"},
        "example": "seats",
    },
}


def complete_operation(written: Document, operation: Operation, method: str, path: str, schemas: Document) -> None:
    """Complete an operation that Litestar has written."""
    (media_type,) = written["responses"][str(operation.status)].get("content") or {"": {}}
    query = [_query_parameter(parameter) for parameter in written.get("parameters", []) if parameter["in"] == "query"]
    written |= _described(operation, method, written.get("description", ""))
    written["parameters"] = [*_path_parameters(path), *query, *_headers(operation, method)]
    if operation.request is not None:
        written["requestBody"] = _request_body(operation, operation.request, schemas)
    written["responses"] = responses(operation, method, media_type, schemas)
    written.pop("deprecated", None)


def access_operation(path: str, operation: Operation, schemas: Document) -> Document:
    """Return an operation of the access question, which is no route of Litestar."""
    return {
        "tags": [operation.tag],
        "summary": operation.summary,
        "operationId": operation.id,
        **_described(operation, "get", operation.description),
        "parameters": _path_parameters(path),
        "responses": responses(operation, "get", "", schemas),
    }


def _described(operation: Operation, method: str, text: str) -> Document:
    sentences = [text, f"For {_callers(operation)}."]
    if operation.idempotent:
        sentences.append(_IDEMPOTENT)
    if operation.if_match and method != "get":
        sentences.append(_IF_MATCH)
    return {"description": "\n\n".join(sentences), "security": _security(operation)}


def _callers(operation: Operation) -> str:
    audience = operation.permission.audience
    privileged = "an administrator or a service" if _is_for_services(operation) else "an administrator"
    if operation.is_public:
        return "anyone"
    if audience is Audience.ANYONE:
        return f"anyone; {privileged} sees more"
    if operation.about_caller or operation.permission.scope is None:
        return "a signed-in user"
    return f"a signed-in user; {privileged} sees more" if audience is Audience.SIGNED_IN else privileged


def _security(operation: Operation) -> list[Document]:
    if operation.is_public:
        return []
    none: list[Document] = [{}] if operation.permission.audience is Audience.ANYONE else []
    api_key: list[Document] = [{"api_key": []}] if _is_for_services(operation) else []
    return [*none, {"session": []}, *api_key]


def _is_for_services(operation: Operation) -> bool:
    return operation.permission.scope in SERVICE_SCOPES and not operation.about_caller


def _path_parameters(path: str) -> list[Document]:
    names = (part[1:-1] for part in path.split("/") if part.startswith("{"))
    return [{"name": name, "in": "path", "required": True, **_PATH_PARAMETERS[name]} for name in names]


def _query_parameter(parameter: Document) -> Document:
    """Return Litestar's parameter without what is the default, and without `null`, which no query can contain."""
    schema = dict(parameter["schema"])
    options = [option for option in schema.pop("oneOf", []) if option != {"type": "null"}]
    schema = {**(options[0] if options else {}), **schema}
    schema.pop("description", None)
    for bound in schema.keys() & {"minimum", "maximum"}:
        schema[bound] = int(schema[bound])
    kept = {name: parameter[name] for name in ("name", "in", "description", "required")}
    return {**kept, "schema": schema}


def _headers(operation: Operation, method: str) -> list[Document]:
    def header(name: str, description: str, schema: Document) -> Document:
        return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}

    headers: list[Document] = []
    if operation.idempotent:
        headers.append(
            header(
                "Idempotency-Key",
                "1 to 255 visible ASCII characters that you choose once for each intended change, such as a UUID.",
                {"type": "string", "pattern": "^[!-~]{1,255}$"},
            )
        )
    tag = {"type": "string", "examples": ['"3.1f2e3d4c"']}
    if operation.etag and method == "get":
        headers.append(header("If-None-Match", "The `ETag` that you have: 304 if it is still the same.", tag))
    if operation.if_match:
        headers.append(header("If-Match", "The `ETag` that you have: 412 if it is not the same any more.", tag))
    return headers


def _request_body(operation: Operation, model: type[RequestModel], schemas: Document) -> Document:
    media_types = ["application/json", *(["application/merge-patch+json"] if operation.merge_patch else [])]
    schema = reference(model)
    content = {media_type: {"schema": schema, "example": example_of(schema, schemas)} for media_type in media_types}
    return {"content": content, "required": not operation.request_optional}
