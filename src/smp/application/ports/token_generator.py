"""The generator of bearer secrets: session tokens and API keys."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol


class TokenGenerator(Protocol):
    """A generator of bearer secrets of 256 random bits."""

    @abstractmethod
    def new(self) -> str:
        """Return a new secret, which has only characters that a cookie and a header allow."""

    @abstractmethod
    def digest(self, token: str) -> bytes:
        """Return the SHA-256 digest of the secret, which is stored instead of the secret."""
