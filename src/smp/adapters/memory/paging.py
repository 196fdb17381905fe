"""Keyset pages of rows in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from smp.application.paging import Page, PageRequest

Row = TypeVar("Row")
Position = TypeVar("Position", bound=tuple[Any, ...])


def page_of(
    rows: Iterable[Row], page: PageRequest[Position], position: Callable[[Row], Position], *, descending: bool = False
) -> Page[Row, Position]:
    """Return the page of ``rows``, sorted by ``position``, which is different for every row."""
    ordered = sorted(rows, key=position, reverse=descending)
    after = page.after
    if after is not None:
        ordered = [row for row in ordered if (position(row) < after if descending else position(row) > after)]
    items = ordered[: page.limit]
    return Page(items, position(items[-1]) if len(ordered) > page.limit else None)
