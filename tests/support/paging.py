"""Reading a list page by page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from smp.application.paging import Page, PageRequest

Item = TypeVar("Item")
Position = TypeVar("Position")

PAGES_MAX: Final = 1_000


async def read_all(
    read: Callable[[PageRequest[Position]], Awaitable[Page[Item, Position]]],
    limit: int,
    between: Callable[[], Awaitable[None]] | None = None,
) -> list[Item]:
    """Return all items of all pages of ``limit``; ``between`` runs after each page but the last.

    Every page but the last must be full, and the last one not empty unless it is the only one.
    """
    items: list[Item] = []
    after: Position | None = None
    for _ in range(PAGES_MAX):
        page = await read(PageRequest(limit, after))
        items.extend(page.items)
        if page.next is None:
            assert page.items or after is None, "an empty page behind a full one"
            return items
        assert len(page.items) == limit, "a page that is not full, and not the last"
        after = page.next
        if between is not None:
            await between()
    raise AssertionError("the list has no end")
