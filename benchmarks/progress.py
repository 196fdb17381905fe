"""Telling whoever waits what is being done."""

from __future__ import annotations

import sys
from time import monotonic


class Progress:
    """Lines on standard error, each with the seconds since the beginning."""

    def __init__(self) -> None:
        self._started = monotonic()
        self._part = ""

    def part(self, name: str) -> None:
        """From now on it is about this."""
        self._part = f"{name}: "

    def step(self, text: str) -> None:
        """This begins now."""
        sys.stderr.write(f"[{monotonic() - self._started:4.0f} s] {self._part}{text}\n")
        sys.stderr.flush()
