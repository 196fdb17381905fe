"""API keys: how services are known."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The key of a service; only the SHA-256 of the secret is kept."""

    id: UUID
    name: str
    digest: bytes
    created_at: datetime
    revoked_at: datetime | None = None


class ApiKeyRepository(Protocol):
    """API keys inside one transaction."""

    @abstractmethod
    async def add(self, key: ApiKey) -> None:
        """Keep a new key."""

    @abstractmethod
    async def revoke(self, key_id: UUID, now: datetime) -> bool:
        """Revoke the key; whether there was one that was not revoked."""
