"""The repository of API keys in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from smp.adapters.memory.transaction import Transaction
from smp.application.ports.api_key_repository import ApiKeyRepository
from smp.domain.api_key import ApiKey
from smp.domain.errors import StorageIntegrityError


class MemoryApiKeyRepository(ApiKeyRepository):
    """The repository of API keys inside one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def add(self, key: ApiKey) -> None:
        """Insert a new key."""
        with self._transaction.writing():
            await self._transaction.lock("api key digest", key.digest)
            if any(key.id == other.id or key.digest == other.digest for other in self._transaction.api_keys.rows()):
                raise StorageIntegrityError("api_keys_unique")
            self._transaction.api_keys.put(key.id, key)

    async def revoke(self, key_id: UUID, now: datetime) -> datetime | None:
        """Revoke the key, and return when; ``None`` if there was no key that was not revoked yet."""
        await self._transaction.lock("api key", key_id)
        key = self._transaction.api_keys.get(key_id)
        if key is None or key.revoked_at is not None:
            return None
        revoked_at = max(now, key.created_at)
        self._transaction.api_keys.put(key_id, replace(key, revoked_at=revoked_at))
        return revoked_at
