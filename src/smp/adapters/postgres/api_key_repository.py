"""API keys in PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, func, insert, update

from smp.adapters.postgres.mapping import api_key_row, instant_of
from smp.adapters.postgres.statements import Statement
from smp.adapters.postgres.tables import api_keys
from smp.adapters.postgres.transaction import Transaction
from smp.application.ports.api_key_repository import ApiKeyRepository
from smp.domain.api_key import ApiKey

_ADD: Final = Statement(insert(api_keys))
_REVOKE: Final = Statement(
    update(api_keys)
    .where(api_keys.c.id == bindparam("key_id"), api_keys.c.revoked_at.is_(None))
    .values(revoked_at=func.greatest(api_keys.c.created_at, bindparam("now", type_=api_keys.c.created_at.type)))
    .returning(api_keys.c.revoked_at)
)


class PostgresApiKeyRepository(ApiKeyRepository):
    """API keys inside one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def add(self, key: ApiKey) -> None:
        """Store a new key."""
        await self._transaction.run(_ADD, **api_key_row(key))

    async def revoke(self, key_id: UUID, now: datetime) -> datetime | None:
        """Revoke the key, and return when; ``None`` if there was no key that was not revoked yet."""
        row = await self._transaction.row(_REVOKE, key_id=key_id, now=now)
        return None if row is None else instant_of(row["revoked_at"])
