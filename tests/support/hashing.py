"""Password hashers without cost, for tests in which hashing is not the subject."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256

from smp.application.errors import Overloaded
from smp.application.ports.password_hasher import PasswordHasher, Verification


class InstantHasher(PasswordHasher):
    """A hasher that uses one SHA-256."""

    async def hash(self, password: str) -> str:
        """The digest of the password."""
        return sha256(password.encode()).hexdigest()

    async def verify(self, password_hash: str | None, password: str) -> Verification:
        """Whether the digest is that of the password."""
        return Verification(password_hash == sha256(password.encode()).hexdigest())

    async def digest(self, secret: str, salt: bytes) -> bytes:
        """The digest of both."""
        return sha256(salt + secret.encode()).digest()


class BusyHasher(InstantHasher):
    """A hasher whose queue is full."""

    async def hash(self, password: str) -> str:
        """Never."""
        raise Overloaded("full")

    async def verify(self, password_hash: str | None, password: str) -> Verification:
        """Never."""
        raise Overloaded("full")


class WatchedHasher(InstantHasher):
    """A hasher that records what it verifies, and runs ``during`` in between; with ``outdated``, all hashes are."""

    def __init__(self, during: Callable[[], Awaitable[None]] | None = None, *, outdated: bool = False) -> None:
        self.verified: list[tuple[str | None, str]] = []
        self._during = during
        self._outdated = outdated

    async def hash(self, password: str) -> str:
        """The digest of the password, marked as new."""
        return f"new {await super().hash(password)}"

    async def verify(self, password_hash: str | None, password: str) -> Verification:
        """Whether the digest is that of the password."""
        self.verified.append((password_hash, password))
        if self._during is not None:
            await self._during()
        known = None if password_hash is None else password_hash.removeprefix("new ")
        verification = await super().verify(known, password)
        return Verification(verification.matches, verification.matches and self._outdated)
