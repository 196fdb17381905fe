"""Slow hashing of passwords."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a verification: if the password is right, and if its hash needs today's parameters."""

    matches: bool
    needs_rehash: bool = False


class PasswordHasher(Protocol):
    """A slow hash of passwords, computed outside the event loop, with a bounded queue."""

    @abstractmethod
    async def hash(self, password: str) -> str:
        """Return a salted hash of the password.

        Raises:
            Overloaded: if the queue is full.
        """

    @abstractmethod
    async def verify(self, password_hash: str | None, password: str) -> Verification:
        """Compare ``password`` with the hash. The hash ``None`` never matches, and takes as long as any other.

        Raises:
            Overloaded: if the queue is full.
        """

    @abstractmethod
    async def digest(self, secret: str, salt: bytes) -> bytes:
        """Return a slow digest of a secret, always the same for the same salt.

        It makes stored secrets comparable without a fast hash of them, which could be broken by guessing.

        Raises:
            Overloaded: if the queue is full.
        """
