"""The repository port for API keys."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol
from uuid import UUID

from smp.domain.api_key import ApiKey


class ApiKeyRepository(Protocol):
    """The repository of API keys inside one transaction."""

    @abstractmethod
    async def add(self, key: ApiKey) -> None:
        """Insert a new key."""

    @abstractmethod
    async def revoke(self, key_id: UUID, now: datetime) -> datetime | None:
        """Revoke the key, and return when: ``now``, but never before it was created.

        ``None`` means that there was no key that was not revoked yet.
        """
