"""The platform's clock."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """A clock that all processes of the platform share."""

    @abstractmethod
    async def now(self) -> datetime:
        """Return the present instant, timezone-aware and in UTC."""
