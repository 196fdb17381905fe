"""The OpenAPI document: Litestar writes the routes and parameters, the operations complete it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag

from smp.adapters.http.documentation.openapi_operation import access_operation, complete_operation
from smp.adapters.http.documentation.openapi_responses import HEADERS, other_problem
from smp.adapters.http.documentation.openapi_schemas import Document, schemas_of
from smp.adapters.http.operation import Operation

_TAGS: Final = (
    ("auth", "Accounts, and the sessions of the signed-in user."),
    ("plans", "What users can subscribe to."),
    ("subscriptions", "Trials and subscriptions: of the signed-in user, of a named user, and of all."),
    ("access", "Whether a user may use a feature now."),
    ("users", "The accounts of all users, for administrators."),
    ("statistics", "Figures on the whole platform, for administrators."),
    ("health", "The state of the process, for probes and Prometheus."),
)


def openapi_config(version: str, cookie_name: str) -> OpenAPIConfig:
    """Return the configuration from which Litestar makes the document."""
    return OpenAPIConfig(
        title="Subscription Management Platform",
        version=version,
        description=(
            "Accounts, plans, trials, subscriptions, and the question: may this user use this feature now?\n\n"
            "- **Sign in** with `POST /v1/auth/login`, which sets a cookie, or send a key (`smp api-key create`) as "
            "`Authorization: Bearer …`.\n"
            "- **Instants** are RFC 3339 in UTC. **Money** is a whole number of the currency's minor unit.\n"
            "- **Lists** have pages: send `next_cursor` as `cursor` until it is `null`.\n"
            "- **Errors** are problem details (RFC 9457). Decide by `type`; a refused request changed nothing.\n"
            "- **Repeats**: with an `Idempotency-Key`, a POST that is repeated within 24 hours gets its first success "
            "again.\n"
            "- **Concurrent changes**: send the `ETag` of what you read as `If-Match`."
        ),
        path="/_openapi",
        render_plugins=[JsonRenderPlugin()],
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                "session": SecurityScheme(
                    type="apiKey",
                    name=cookie_name,
                    security_scheme_in="cookie",
                    description="The cookie that `POST /v1/auth/login` sets. Any response can replace it.",
                ),
                "api_key": SecurityScheme(
                    type="http", scheme="bearer", description="An API key that `smp api-key create` printed."
                ),
            }
        ),
        tags=[Tag(name=name, description=description) for name, description in _TAGS],
    )


def complete(
    document: Document, operations: Mapping[str, Operation], access: Mapping[str, Operation], public_url: str
) -> Document:
    """Return the document with every body, problem, header and credential of every operation.

    ``operations`` are those of Litestar's routes by id, ``access`` those of the access question by path.
    """
    document = msgspec.json.decode(msgspec.json.encode(document))
    schemas = schemas_of([*operations.values(), *access.values()])
    document["components"] |= {
        "schemas": schemas,
        "headers": HEADERS,
        "responses": {"OtherProblem": other_problem()},
    }
    document["paths"] = {path: item for path, item in document["paths"].items() if not path.startswith("/_openapi")}
    for path, operation in access.items():
        document["paths"][path] = {"get": access_operation(path, operation, schemas)}
    for path, item in document["paths"].items():
        for method, written in item.items():
            if written["operationId"] in operations:
                complete_operation(written, operations[written["operationId"]], method, path, schemas)
    if public_url:
        document["servers"] = [{"url": public_url}]
        _put_problems_below(document, urlsplit(public_url).path)
    return document


def _put_problems_below(node: Document, base_path: str) -> None:
    """Write the addresses of the problems in all examples as responses have them."""
    for key, value in node.items():
        if key == "type" and isinstance(value, str) and value.startswith("/problems/"):
            node[key] = base_path + value
        elif isinstance(value, dict):
            _put_problems_below(value, base_path)
