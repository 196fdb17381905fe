"""Pauses between the attempts of a use case."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol


class Backoff(Protocol):
    """Waits before another attempt, for a time that differs between processes, so that they do not collide again."""

    @abstractmethod
    async def pause(self, attempt: int) -> None:
        """Wait after this attempt, the first being 1."""
