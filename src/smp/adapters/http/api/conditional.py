"""Answering a GET of one thing, or that it has not changed."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.connection import Request
from litestar.response import Response

from smp.adapters.http import wire
from smp.adapters.http.api.preconditions import not_modified


def one(request: Request[Any, Any, Any], document: wire.ResponseModel, tag: str) -> Response[bytes]:
    """The thing with its ETag; 304 where the client has it already."""
    headers = {"etag": tag}
    if not_modified(request.headers.get("if-none-match"), tag):
        return Response(content=b"", status_code=304, headers=headers, media_type="application/json")
    return Response(content=msgspec.json.encode(document), headers=headers, media_type="application/json")
