"""Pauses between the attempts of a use case."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol


class Backoff(Protocol):
    """The pause before another attempt. It is random, so that processes that collided do not collide again."""

    @abstractmethod
    async def pause(self, attempt: int) -> None:
        """Wait after this attempt, the first being 1."""
