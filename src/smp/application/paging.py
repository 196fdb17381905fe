"""Keyset paging: a page, and the position of its last item in the order of the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

LIMIT_MAX: Final = 100
LIMIT_DEFAULT: Final = 50

Item = TypeVar("Item")
Position = TypeVar("Position")


@dataclass(frozen=True, slots=True)
class PageRequest(Generic[Position]):
    """A request for up to ``limit`` items after the position ``after`` (``None``: from the beginning)."""

    limit: int = LIMIT_DEFAULT
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item, Position]):
    """The items of a page, and the position after which the next page starts; ``None`` on the last page."""

    items: Sequence[Item]
    next: Position | None
