"""The OpenAPI document of the program with all optional parts, and its parts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx

from smp.bootstrap.container import build_container
from smp.bootstrap.http import HttpProvider, build_app
from smp.bootstrap.settings import load_settings

Json = dict[str, Any]


def unconnected() -> httpx.AsyncClient:
    """Return a client of the whole HTTP interface; its database does not exist, and is connected to by no document."""
    settings = load_settings({"SMP_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing", "SMP_TEST_CLOCK": "1"})
    app = build_app(settings, build_container(settings, HttpProvider()))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://smp.example")


@cache
def openapi_document() -> Json:
    """Return the document."""

    async def fetch() -> Json:
        async with unconnected() as client:
            return dict((await client.get("/openapi.json")).json())

    return asyncio.run(fetch())


def operations() -> Iterator[tuple[str, str, Json]]:
    """Yield the method, the path and the description of every operation."""
    for path, item in openapi_document()["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def resolved(part: Json) -> Json:
    """Return the part of the document that this part refers to, or the part itself if it is no reference."""
    while "$ref" in part:
        found: Any = openapi_document()
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def with_components(schema: Json) -> Json:
    """Return a schema that can be validated on its own."""
    return {**schema, "components": openapi_document()["components"]}
