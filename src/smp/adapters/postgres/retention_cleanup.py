"""The deletion of rows whose retention time is over, in PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from smp.adapters.postgres.login_throttle import LIMITS
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import Statement, sql
from smp.application.idempotency import RETENTION
from smp.application.ports.retention_cleanup import PurgedRows, RetentionCleanup
from smp.domain.user.session import SessionPolicy

# The rows are found by an index, in its order and up to the limit, and deleted by their place in the table: for a join
# by key PostgreSQL would read the whole table. A row that another transaction has locked is skipped.
_DELETE: Final = """
    DELETE FROM {table} WHERE ctid = ANY (ARRAY(
        SELECT t.ctid FROM {table} AS t WHERE {is_over} ORDER BY {order} LIMIT :limit FOR UPDATE OF t SKIP LOCKED
    ))
"""
_BATCH_TIMEOUT_S: Final = 60.0


def _delete(table: str, order: str, is_over: str) -> Statement:
    return sql(_DELETE.format(table=table, order=order, is_over=is_over), _BATCH_TIMEOUT_S)


_KEYS: Final = _delete("idempotency_keys", "created_at", "created_at < :outdated_before")
_HAS_ROLE: Final = "(SELECT u.role FROM users AS u WHERE u.id = t.user_id) = '{role}'"
# Users need two statements, one for each index; the few administrators need one, which begins with them.
_OF_USERS: Final = _HAS_ROLE.format(role="user")
_UNUSED_OF_USERS: Final = _delete("sessions", "last_seen_at", f"t.last_seen_at <= :unused_since AND {_OF_USERS}")
_TOO_OLD_OF_USERS: Final = _delete("sessions", "created_at", f"t.created_at <= :opened_before AND {_OF_USERS}")
_OVER_OF_ADMINS: Final = _delete(
    "sessions",
    "user_id",
    "t.user_id = ANY (ARRAY(SELECT id FROM users WHERE role = 'admin'))"
    " AND (t.last_seen_at <= :unused_since OR t.created_at <= :opened_before)",
)
_ATTEMPTS: Final = _delete(
    "login_throttle", "last_attempt_at", "last_attempt_at <= :quiet_since AND starts_with(key, :kind)"
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
