"""API keys to look at, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from smp.adapters.memory.store import MemoryStore
from smp.application.ports.api_keys import ApiKey
from smp.application.queries.readers import ApiKeyReader
from smp.application.queries.views import ApiKeyView


class MemoryApiKeyReader(ApiKeyReader):
    """API keys of a store."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def find(self, digest: bytes) -> ApiKey | None:
        """The key with this digest, revoked or not."""
        return next((key for key in self._store.state.api_keys.values() if key.digest == digest), None)

    async def list(self) -> Sequence[ApiKeyView]:
        """All keys, oldest first."""
        keys = sorted(self._store.state.api_keys.values(), key=lambda key: (key.created_at, key.id))
        return [ApiKeyView(key.id, key.name, key.created_at, key.revoked_at) for key in keys]
