"""The schemas of the OpenAPI document, and the examples that are made from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from smp.adapters.http.operation import Operation
from smp.adapters.http.wire import RequestModel, ResponseModel

Document = dict[str, Any]

_PREFIX: Final = "#/components/schemas/"

PROBLEM_SCHEMA: Final[Document] = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457). Some problems have more members, which their pages name.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {
            "type": "string",
            "description": "Which problem it is: `/problems/` and its slug. The service explains it under that path.",
        },
        "title": {"type": "string", "description": "The same for every problem of the type."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The status of the response."},
        "detail": {"type": "string", "description": "What happened this time."},
        "errors": {
            "type": "array",
            "description": "The bad fields or parameters, at most 20.",
            "items": {"$ref": f"{_PREFIX}FieldError"},
        },
        "errors_omitted": {"type": "integer", "minimum": 1, "description": "How many more bad fields there are."},
        "request_id": {"type": "string", "description": "With status 500: the id under which the log has the cause."},
    },
}
FIELD_ERROR_SCHEMA: Final[Document] = {
    "type": "object",
    "title": "FieldError",
    "description": "One bad field of the body, or one bad parameter.",
    "required": ["pointer", "detail"],
    "properties": {
        "pointer": {"type": "string", "description": "Its place, as a JSON pointer (RFC 6901)."},
        "detail": {"type": "string", "description": "What is allowed there."},
    },
}


def schemas_of(operations: Iterable[Operation]) -> Document:
    """Return the schemas of all bodies and of the problems, by name."""
    models = {model for operation in operations for model in (operation.request, operation.response) if model}
    _, schemas = msgspec.json.schema_components(
        sorted(models, key=lambda model: model.__name__), ref_template=f"{_PREFIX}{{name}}"
    )
    _use_ecma_patterns(schemas)
    return {**schemas, "Problem": PROBLEM_SCHEMA, "FieldError": FIELD_ERROR_SCHEMA}


def reference(model: type[RequestModel | ResponseModel]) -> Document:
    """Return the reference to the schema of a body."""
    return {"$ref": f"{_PREFIX}{model.__name__}"}


def example_of(schema: Document, schemas: Document) -> object:
    """Return a value that the schema allows: its first example, the first of its choices, or made from its parts."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].removeprefix(_PREFIX)], schemas)
    for choices in ("enum", "anyOf"):
        if choices in schema:
            first = schema[choices][0]
            return first if choices == "enum" else example_of(first, schemas)
    if schema["type"] == "object":
        return {name: example_of(member, schemas) for name, member in schema["properties"].items()}
    if schema["type"] == "array":
        return [example_of(schema["items"], schemas)]
    if schema["type"] == "boolean":
        return True
    raise LookupError(f"a field without an example: {schema}")


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
