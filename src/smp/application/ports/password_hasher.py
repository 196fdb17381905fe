"""Slow hashing of passwords."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether the password is right, and whether its hash should be made anew with today's parameters."""

    matches: bool
    needs_rehash: bool = False


class PasswordHasher(Protocol):
    """Hashes passwords slowly, off the event loop, a bounded number at a time."""

    @abstractmethod
    async def hash(self, password: str) -> str:
        """A salted hash to keep.

        Raises:
            Busy: where the queue is full.
        """

    @abstractmethod
    async def verify(self, password_hash: str | None, password: str) -> Verification:
        """Whether ``password`` made this hash; ``None`` never matches and takes as long.

        Raises:
            Busy: where the queue is full.
        """

    @abstractmethod
    async def digest(self, secret: str, salt: bytes) -> bytes:
        """A slow digest of a secret, the same for the same salt: for comparing without keeping a fast hash.

        Raises:
            Busy: where the queue is full.
        """
