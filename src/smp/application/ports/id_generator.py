"""The generator of ids."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol
from uuid import UUID


class IdGenerator(Protocol):
    """A generator of unique ids that increase with time."""

    @abstractmethod
    def new(self) -> UUID:
        """Return a new UUIDv7 (RFC 9562, section 5.7), greater than all earlier ones of this process."""
