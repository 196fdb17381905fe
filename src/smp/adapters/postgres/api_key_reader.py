"""API keys for lists and for the authentication of services, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from smp.adapters.postgres.mapping import api_key_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.application.ports.api_key_reader import ApiKeyReader
from smp.application.queries.views import ApiKeyView
from smp.domain.api_key import ApiKey

_FIND: Final = sql(
    "SELECT id, name, digest, created_at, revoked_at FROM api_keys WHERE digest = :digest", is_urgent=True
)
_LIST: Final = sql("SELECT id, name, digest, created_at, revoked_at FROM api_keys ORDER BY created_at, id")


class PostgresApiKeyReader(ApiKeyReader):
    """A reader of API keys; they are few, because the operator creates them, so a list has no pages."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def find(self, digest: bytes) -> ApiKey | None:
        """Return the key with this digest, revoked or not."""
        row = await self._pool.row(_FIND, digest=digest)
        return None if row is None else api_key_of(row)

    async def list(self) -> Sequence[ApiKeyView]:
        """Return all keys, oldest first."""
        rows = await self._pool.rows(_LIST)
        keys = (api_key_of(row) for row in rows)
        return [ApiKeyView(key.id, key.name, key.created_at, key.revoked_at) for key in keys]
