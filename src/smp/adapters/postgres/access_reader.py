"""The data of access checks, in PostgreSQL."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from smp.adapters.postgres.effective_state import DECISIVE_ID_SQL
from smp.adapters.postgres.mapping import features_of, instant_if_any, status_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.application.ports.access_reader import AccessReader
from smp.domain.access import EntitlementSnapshot

_SNAPSHOT: Final = sql(
    f"""
    SELECT s.status, s.ends_at, s.cancel_at, p.code, r.features
    FROM subscriptions AS s
    JOIN plans AS p ON p.id = s.plan_id
    JOIN plan_revisions AS r ON r.plan_id = s.plan_id AND r.number = s.revision
    WHERE s.user_id = :user_id AND s.id = {DECISIVE_ID_SQL.format(user_id=":user_id")}
    """,  # noqa: S608 - constants
    is_urgent=True,
)


class PostgresAccessReader(AccessReader):
    """A reader for the hot path: one prepared statement of a few index look-ups, outside any other transaction."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def snapshot(self, user_id: UUID) -> EntitlementSnapshot | None:
        """Return the subscription that decides the user's access; ``None`` if there never was one."""
        row = await self._pool.row(_SNAPSHOT, user_id=user_id)
        if row is None:
            return None
        status, ends_at, cancel_at, code, features = row
        return EntitlementSnapshot(
            status_of(status), instant_if_any(ends_at), instant_if_any(cancel_at), code, features_of(features)
        )
