"""Cookies of a request (RFC 6265, section 5.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

VALUES_MAX: Final = 5
"""The most values of one cookie that are returned."""


def cookie_values(headers: Iterable[tuple[bytes, bytes]], name: str) -> Sequence[str]:
    """Return the different values of a cookie, in their order, at most five.

    A browser sends several cookies of one name if they were set for several paths or domains. Which of them comes first
    says nothing about which is the right one.
    """
    wanted = name.encode()
    values: dict[str, None] = {}
    for header, content in headers:
        if header != b"cookie":
            continue
        for pair in content.split(b";"):
            found, _, value = pair.partition(b"=")
            if found.strip() == wanted and value.strip() and len(values) < VALUES_MAX:
                values[value.strip().decode("latin-1")] = None
    return tuple(values)
