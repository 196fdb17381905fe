"""Keyset paging."""

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
    """Return a page of the first ``limit`` rows; one more row means that there is a next page."""
    shown = rows[:limit]
    return Page([item(row) for row in shown], position(shown[-1]) if len(rows) > limit else None)


def bounded(number: int) -> int:
    """Return ``number``, limited to the range of ``bigint``, because a client can send any number as a position."""
    return max(-_BIGINT_MAX, min(number, _BIGINT_MAX))
