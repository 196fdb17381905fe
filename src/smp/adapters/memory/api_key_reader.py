"""The reader of API keys in memory."""

from __future__ import annotations

from collections.abc import Sequence

from smp.adapters.memory.store import MemoryStore
from smp.application.ports.api_key_reader import ApiKeyReader
from smp.application.queries.views import ApiKeyView
from smp.domain.api_key import ApiKey


class MemoryApiKeyReader(ApiKeyReader):
    """A reader of a store's API keys."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def find(self, digest: bytes) -> ApiKey | None:
        """Return the key with this digest, revoked or not, or ``None``."""
        return next((key for key in self._store.state.api_keys.values() if key.digest == digest), None)

    async def list(self) -> Sequence[ApiKeyView]:
        """Return all keys, oldest first."""
        keys = sorted(self._store.state.api_keys.values(), key=lambda key: (key.created_at, key.id))
        return [ApiKeyView(key.id, key.name, key.created_at, key.revoked_at) for key in keys]
