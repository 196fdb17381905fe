"""The data of access checks, in PostgreSQL."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from smp.adapters.postgres.mapping import features_of, instant_if_any, status_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.application.ports.access_reader import AccessReader
from smp.domain.access import EntitlementSnapshot

# Subscriptions of one user do not overlap, so only the one that began last can be live.
_SNAPSHOT: Final = sql(
    """
    SELECT s.status, s.ends_at, s.cancel_at, p.code, r.features
    FROM (
        SELECT status, ends_at, cancel_at, plan_id, revision FROM subscriptions
        WHERE user_id = :user_id ORDER BY starts_at DESC, id DESC LIMIT 1
    ) AS s
    JOIN plans AS p ON p.id = s.plan_id
    JOIN plan_revisions AS r ON r.plan_id = s.plan_id AND r.number = s.revision
    """,
    is_urgent=True,
)


class PostgresAccessReader(AccessReader):
    """A reader for the hot path: one prepared statement with four index look-ups, outside any other transaction."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def snapshot(self, user_id: UUID) -> EntitlementSnapshot | None:
        """Return the user's newest subscription; ``None`` if there never was one."""
        row = await self._pool.row(_SNAPSHOT, user_id=user_id)
        if row is None:
            return None
        status, ends_at, cancel_at, code, features = row
        return EntitlementSnapshot(
            status_of(status), instant_if_any(ends_at), instant_if_any(cancel_at), code, features_of(features)
        )
