"""Keyset pages out of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from smp.adapters.postgres.statements import Row
from smp.application.paging import Page

Item = TypeVar("Item")
Position = TypeVar("Position")

_BIGINT_MAX: Final = 2**63 - 1


def page_of(
    rows: Sequence[Row], limit: int, item: Callable[[Row], Item], position: Callable[[Row], Position]
) -> Page[Item, Position]:
    """The page of the first ``limit`` rows; one row more than that, where it is there, says that there is a next."""
    kept = rows[:limit]
    return Page([item(row) for row in kept], position(kept[-1]) if len(rows) > limit else None)


def bounded(number: int) -> int:
    """``number``, or the nearest that a ``bigint`` column holds: a forged position is somewhere in the order, too."""
    return max(-_BIGINT_MAX, min(number, _BIGINT_MAX))
