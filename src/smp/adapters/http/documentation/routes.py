"""The OpenAPI document, its browsable page (served from here whole, so it works offline), the problems' pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Response

from smp.adapters.http.documentation.index import PAGE_OPERATION, index, robots
from smp.adapters.http.documentation.problem_page import page
from smp.adapters.http.operation import OPERATION
from smp.adapters.http.problems.rejection import RequestRejected
from smp.adapters.http.problems.table import BY_SLUG

_STATIC: Final = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_PROBLEM_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"
# Relative addresses: a proxy may serve the page below a path.
_PAGE: Final = b"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Subscription Management Platform: the API</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body><div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script></body>
</html>
"""
# "Authorize" offers the API key only, because a page cannot set the session's cookie. "Try it out" at logIn sets it.
_START: Final = b"""fetch("openapi.json").then(response => response.json()).then(spec => {
  delete spec.components.securitySchemes.session;
  for (const path of Object.values(spec.paths))
    for (const operation of Object.values(path))
      operation.security = operation.security.filter(scheme => !("session" in scheme));
  SwaggerUIBundle({spec, dom_id: "#api", deepLinking: true, validatorUrl: null});
});
"""


def routes(document: Callable[[], object]) -> list[HTTPRouteHandler]:
    """The pages; ``document`` makes the OpenAPI document once, when it is first asked for."""

    @cache
    def encoded() -> bytes:
        return msgspec.json.encode(document())

    @get("/openapi.json", include_in_schema=False, opt={OPERATION: PAGE_OPERATION})
    async def openapi() -> Response[bytes]:
        """OpenAPI 3.1."""
        return Response(content=encoded(), media_type="application/json")

    @get("/docs", include_in_schema=False, opt={OPERATION: PAGE_OPERATION})
    async def docs() -> Response[bytes]:
        """The API to browse and try."""
        return _page(_PAGE, "text/html", _PAGE_POLICY)

    @get("/docs/{name:str}", include_in_schema=False, opt={OPERATION: PAGE_OPERATION})
    async def static(name: FromPath[str]) -> Response[bytes]:
        """What the page is made of."""
        if name == "start.js":
            return _page(_START, "text/javascript", _PAGE_POLICY)
        if name not in _STATIC:
            raise RequestRejected("not-found", "the documentation has no such file")
        return _page(_file(name), _STATIC[name], _PAGE_POLICY)

    @get("/problems/{slug:str}", include_in_schema=False, opt={OPERATION: PAGE_OPERATION})
    async def problem(slug: FromPath[str]) -> Response[bytes]:
        """What a problem means and what to do."""
        if slug not in BY_SLUG:
            raise RequestRejected("not-found", "there is no such problem")
        return _page(page(BY_SLUG[slug]), "text/html", _PROBLEM_POLICY)

    @get("/favicon.ico", include_in_schema=False, opt={OPERATION: PAGE_OPERATION})
    async def favicon() -> Response[bytes]:
        """The icon that browsers show beside the title."""
        return Response(
            content=_file("favicon.ico"), media_type="image/x-icon", headers={"cache-control": "max-age=86400"}
        )

    return [index, robots, favicon, openapi, docs, static, problem]


def _page(content: bytes, media_type: str, policy: str) -> Response[bytes]:
    headers = {"content-security-policy": policy, "cache-control": "no-cache"}
    return Response(content=content, media_type=media_type, headers=headers)


@cache
def _file(name: str) -> bytes:
    return (files("smp.adapters.http.documentation") / "static" / name).read_bytes()
