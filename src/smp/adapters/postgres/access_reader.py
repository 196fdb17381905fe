"""The data of access checks, in PostgreSQL."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from smp.adapters.postgres.effective_state import DECISIVE_ID_SQL
from smp.adapters.postgres.mapping import JOIN_PLAN_SQL, features_of, instant_if_any, status_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.application.ports.access_reader import AccessReader
from smp.domain.access import EntitlementSnapshot, UserEntitlement
from smp.domain.errors import UserNotFound

_ENTITLEMENT: Final = sql(
    f"""
    SELECT u.disabled, s.status, s.ends_at, s.cancel_at, p.code, r.features
    FROM users AS u
    LEFT JOIN subscriptions AS s ON s.user_id = :user_id AND s.id = {DECISIVE_ID_SQL.format(user_id=":user_id")}
    {JOIN_PLAN_SQL}
    WHERE u.id = :user_id
    """,  # noqa: S608 - constants
    is_urgent=True,
)


class PostgresAccessReader(AccessReader):
    """A reader for the hot path: one prepared statement of a few index look-ups, outside any other transaction."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def entitlement(self, user_id: UUID) -> UserEntitlement:
        """Return the user's switch, and the subscription that decides access. Raises UserNotFound."""
        row = await self._pool.row(_ENTITLEMENT, user_id=user_id)
        if row is None:
            raise UserNotFound(user_id)
        disabled, status, ends_at, cancel_at, code, features = row
        if status is None:
            return UserEntitlement(disabled, None)
        snapshot = EntitlementSnapshot(
            status_of(status), instant_if_any(ends_at), instant_if_any(cancel_at), code, features_of(features)
        )
        return UserEntitlement(disabled, snapshot)
