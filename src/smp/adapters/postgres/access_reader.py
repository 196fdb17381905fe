"""What access is decided by, in PostgreSQL."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from smp.adapters.postgres.mapping import features_of, instant_if_any, status_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.application.ports.access_reader import AccessReader
from smp.domain.access import EntitlementSnapshot

# Spans of one user do not overlap: the subscription that began last is the live one, where one is.
_STANDING: Final = sql(
    """
    SELECT s.status, s.ends_at, s.cancel_at, p.code, r.features
    FROM (
        SELECT status, ends_at, cancel_at, plan_id, revision FROM subscriptions
        WHERE user_id = :user_id ORDER BY starts_at DESC, id DESC LIMIT 1
    ) AS s
    JOIN plans AS p ON p.id = s.plan_id
    JOIN plan_revisions AS r ON r.plan_id = s.plan_id AND r.number = s.revision
    """
)


class PostgresAccessReader(AccessReader):
    """Standings; the hot path: one prepared statement over four index look-ups, no transaction of several."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def snapshot(self, user_id: UUID) -> EntitlementSnapshot | None:
        """The user's newest subscription; ``None`` where there never was one."""
        row = await self._pool.row(_STANDING, user_id=user_id)
        if row is None:
            return None
        status, ends_at, cancel_at, code, features = row
        return EntitlementSnapshot(
            status_of(status), instant_if_any(ends_at), instant_if_any(cancel_at), code, features_of(features)
        )
