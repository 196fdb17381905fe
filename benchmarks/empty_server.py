"""An empty Litestar handler, served as ``smp serve`` serves the product. The access check is compared with it."""

from __future__ import annotations

import functools
import os
from typing import Any

import granian.server
import msgspec
from litestar import Litestar, get

from smp.bootstrap import workers
from smp.bootstrap.settings import load_settings

TARGET = "benchmarks.empty_server:create_app"


class EmptyResponse(msgspec.Struct):
    """The smallest response."""

    ok: bool


@get("/")
async def empty() -> EmptyResponse:
    """Return the smallest response."""
    return EmptyResponse(ok=True)


def create_app() -> Litestar:
    """Build the application; Granian calls this in the worker."""
    return Litestar([empty], openapi_config=None, logging_config=None)


def main() -> None:
    """Serve until SIGTERM."""
    original = granian.server.Server

    @functools.wraps(original)
    def with_empty_app(_: str, **options: Any) -> Any:  # noqa: ANN401 - Granian's own
        return original(TARGET, **options)

    # The product's own call with all its settings; only the application is another one.
    granian.server.Server = with_empty_app  # type: ignore[assignment]
    workers.run_workers(load_settings(os.environ))


if __name__ == "__main__":
    main()
