"""The root of the service: where its documentation is, for people and for programs."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import get
from litestar.connection import Request
from litestar.datastructures.headers import Accept
from litestar.response import Response

from smp import __version__
from smp.adapters.http.middleware.stack import BASE_PATH
from smp.adapters.http.operation import NO_USE_CASE, OPERATION, Operation

PAGE_OPERATION: Final = Operation(id="page", tag="documentation", summary="A page", use_case=NO_USE_CASE)
"""The operation of everything that is documentation and no part of the API."""

ACCEPT_LENGTH_MAX: Final = 1_000
"""How much of an ``Accept`` header is read; each media range takes a few microseconds."""

_NAME: Final = "Subscription Management Platform"
_LINKS: Final = {
    "docs": ("/docs", "The API, to read and to try"),
    "openapi": ("/openapi.json", "The API as an OpenAPI document, for programs"),
    "ready": ("/health/ready", "Whether the service can answer"),
}


@get("/", include_in_schema=False, opt={OPERATION: PAGE_OPERATION})
async def index(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer with a page if the client prefers HTML, as a browser does, and with JSON otherwise."""
    accept = Accept(request.headers.get("accept", "*/*")[:ACCEPT_LENGTH_MAX])
    wants_html = accept.best_match(["application/json", "text/html"]) == "text/html"
    base_path = str(request.scope.get(BASE_PATH, ""))
    content, media_type = (_html(base_path), "text/html") if wants_html else (_json(base_path), "application/json")
    return Response(content=content, media_type=media_type, headers={"vary": "accept", "cache-control": "no-cache"})


@get("/robots.txt", include_in_schema=False, opt={OPERATION: PAGE_OPERATION})
async def robots() -> Response[bytes]:
    """Ask search engines to index nothing."""
    return Response(content=b"User-agent: *\nDisallow: /\n", media_type="text/plain")


def _json(base_path: str) -> bytes:
    links = {name: base_path + path for name, (path, _) in _LINKS.items()}
    return msgspec.json.encode({"name": _NAME, "version": __version__} | links)


def _html(base_path: str) -> bytes:
    items = "".join(f'<li><a href="{base_path}{path}">{path}</a>: {text}</li>' for path, text in _LINKS.values())
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">\n'
        f'<title>{_NAME}</title><link rel="icon" href="{base_path}/favicon.ico"></head>\n'
        f"<body><h1>{_NAME} {__version__}</h1>\n"
        "<p>This service answers which user may use which feature. Its product asks it over HTTP.</p>\n"
        f"<ul>{items}</ul></body>\n</html>\n"
    ).encode()
