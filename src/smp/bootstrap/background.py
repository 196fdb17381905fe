"""Work in the background, for as long as a context is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog

_log = structlog.stdlib.get_logger("smp.serve")


@asynccontextmanager
async def in_background(work: Callable[[], Awaitable[None]], name: str) -> AsyncIterator[None]:
    """Do the work in a task of this name during the block; it stops at the end of the block at the latest."""

    async def logged() -> None:
        try:
            await work()
        except Exception:  # noqa: BLE001 - no caller waits for the task, so the log has its error
            _log.exception("a background task failed", task=name)

    task = asyncio.create_task(logged(), name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
