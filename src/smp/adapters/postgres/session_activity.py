"""The record of the use of sessions, in PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.application.ports.session_activity import SessionActivity
from smp.domain.user.session import Session

_RECORD_USE: Final = sql(
    """
    UPDATE sessions SET last_seen_at = :now
    WHERE user_id = :user_id AND id = :session_id AND last_seen_at < CAST(:now AS timestamptz)
    """,
    is_urgent=True,
)


class PostgresSessionActivity(SessionActivity):
    """The last use of sessions, outside any other transaction."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def record_use(self, session: Session, now: datetime) -> None:
        """Record that the session was used at ``now``; one that has ended since stays ended."""
        await self._pool.run(_RECORD_USE, user_id=session.user_id, session_id=session.id, now=now)
