"""Bearer secrets: session tokens and API keys."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol


class TokenGenerator(Protocol):
    """Makes bearer secrets of 256 random bits."""

    @abstractmethod
    def new(self) -> str:
        """A new secret, safe in a cookie and a header."""

    @abstractmethod
    def digest(self, token: str) -> bytes:
        """The SHA-256 of the secret: what is kept in its place."""
