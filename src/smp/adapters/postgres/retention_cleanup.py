"""The deletion of rows whose retention time is over, in PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from smp.adapters.postgres.login_throttle import LIMITS
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.application.idempotency import RETENTION
from smp.application.ports.retention_cleanup import PurgedRows, RetentionCleanup
from smp.domain.user.session import SessionPolicy

# Each statement skips the rows that another transaction has locked.
_KEYS: Final = sql(
    """
    DELETE FROM idempotency_keys AS kept USING (
        SELECT caller, key FROM idempotency_keys WHERE created_at < :outdated_before
        ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ) AS outdated
    WHERE kept.caller = outdated.caller AND kept.key = outdated.key
    """
)
_SESSIONS: Final = """
    DELETE FROM sessions AS kept USING (
        SELECT s.user_id, s.id FROM sessions AS s JOIN users AS u ON u.id = s.user_id
        WHERE u.role = '{role}' AND {is_over} LIMIT :limit FOR UPDATE OF s SKIP LOCKED
    ) AS over
    WHERE kept.user_id = over.user_id AND kept.id = over.id
"""
_UNUSED: Final = "s.last_seen_at <= :unused_since"
_TOO_OLD: Final = "s.created_at <= :opened_before"
# Users need two statements, one for each index; the few administrators need one.
_UNUSED_OF_USERS: Final = sql(_SESSIONS.format(role="user", is_over=_UNUSED))
_TOO_OLD_OF_USERS: Final = sql(_SESSIONS.format(role="user", is_over=_TOO_OLD))
_OVER_OF_ADMINS: Final = sql(_SESSIONS.format(role="admin", is_over=f"({_UNUSED} OR {_TOO_OLD})"))
_ATTEMPTS: Final = sql(
    """
    DELETE FROM login_throttle AS kept USING (
        SELECT key FROM login_throttle
        WHERE last_attempt_at <= :quiet_since AND starts_with(key, :kind) LIMIT :limit FOR UPDATE SKIP LOCKED
    ) AS expired
    WHERE kept.key = expired.key
    """
)


class PostgresRetentionCleanup(RetentionCleanup):
    """Deletes each kind in its own statements, each in its own transaction."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def purge_expired(self, now: datetime, real_now: datetime, sessions: SessionPolicy, limit: int) -> PurgedRows:
        """Delete up to ``limit`` rows of each kind. Raises StorageUnavailable."""
        return PurgedRows(
            idempotency_keys=await self._pool.run(_KEYS, outdated_before=now - RETENTION, limit=limit),
            sessions=await self._sessions(now, sessions, limit),
            login_attempts=await self._attempts(real_now, limit),
        )

    async def _sessions(self, now: datetime, policy: SessionPolicy, limit: int) -> int:
        admin = {"unused_since": now - policy.admin.idle, "opened_before": now - policy.admin.absolute}
        removed = await self._pool.run(_OVER_OF_ADMINS, limit=limit, **admin)
        removed += await self._pool.run(_UNUSED_OF_USERS, unused_since=now - policy.user.idle, limit=limit - removed)
        return removed + await self._pool.run(
            _TOO_OLD_OF_USERS, opened_before=now - policy.user.absolute, limit=limit - removed
        )

    async def _attempts(self, now: datetime, limit: int) -> int:
        removed = 0
        for word, rule in LIMITS.items():
            removed += await self._pool.run(
                _ATTEMPTS, quiet_since=now - rule.expires_after, kind=f"{word}:", limit=limit - removed
            )
        return removed
