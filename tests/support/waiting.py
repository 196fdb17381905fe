"""Checks that one task waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

LONG_ENOUGH_S: Final = 0.05
"""A task that has not ended by then waits: what it does takes a hundredth of that."""

TOO_LONG_S: Final = 5.0


@asynccontextmanager
async def made_to_wait(work: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Run ``work`` during the block: it must not end before the block ends, and must end afterwards."""
    task = asyncio.create_task(work)
    try:
        await asyncio.sleep(LONG_ENOUGH_S)
        assert not task.done(), "it did not wait"
        yield
        await asyncio.wait_for(task, TOO_LONG_S)
    finally:
        task.cancel()


async def all_at_once(*works: Coroutine[Any, Any, object]) -> list[object]:
    """Run all coroutines at the same time; return their results, or the exceptions that they raised."""
    return list(await asyncio.gather(*works, return_exceptions=True))
