"""The progress of a run, on standard error."""

from __future__ import annotations

import sys
from time import monotonic


class Progress:
    """Progress lines, each with the seconds since the start."""

    def __init__(self) -> None:
        self._started = monotonic()
        self._part = ""

    def part(self, name: str) -> None:
        """Set the benchmark that the next lines belong to."""
        self._part = f"{name}: "

    def step(self, text: str) -> None:
        """Print that a step begins."""
        sys.stderr.write(f"[{monotonic() - self._started:4.0f} s] {self._part}{text}\n")
        sys.stderr.flush()
