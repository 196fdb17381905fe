"""Password hashers that take no time: where hashing is not the point, and all must arrive at the storage at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256

from smp.application.errors import Overloaded
from smp.application.ports.password_hasher import PasswordHasher, Verification


class InstantHasher(PasswordHasher):
    """Hashes by one SHA-256."""

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
    """Has no room in its queue."""

    async def hash(self, password: str) -> str:
        """Never."""
        raise Overloaded("full")

    async def verify(self, password_hash: str | None, password: str) -> Verification:
        """Never."""
        raise Overloaded("full")


class WatchedHasher(InstantHasher):
    """Keeps what it was asked to verify; ``meanwhile`` is done while it does, and every hash is outdated if so set."""

    def __init__(self, meanwhile: Callable[[], Awaitable[None]] | None = None, *, outdated: bool = False) -> None:
        self.verified: list[tuple[str | None, str]] = []
        self._meanwhile = meanwhile
        self._outdated = outdated

    async def hash(self, password: str) -> str:
        """The digest of the password, marked as new."""
        return f"new {await super().hash(password)}"

    async def verify(self, password_hash: str | None, password: str) -> Verification:
        """Whether the digest is that of the password."""
        self.verified.append((password_hash, password))
        if self._meanwhile is not None:
            await self._meanwhile()
        known = None if password_hash is None else password_hash.removeprefix("new ")
        verification = await super().verify(known, password)
        return Verification(verification.matches, verification.matches and self._outdated)
