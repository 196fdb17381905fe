"""New ids."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol
from uuid import UUID


class IdGenerator(Protocol):
    """Makes ids that no one else makes and that grow with time."""

    @abstractmethod
    def new(self) -> UUID:
        """A new UUIDv7 (RFC 9562, section 5.7), greater than all before it from this process."""
