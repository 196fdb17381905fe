"""Sessions for lists and for authentication, in PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from smp.adapters.postgres.mapping import instant_of, session_of
from smp.adapters.postgres.paging import page_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.application.paging import Page, PageRequest
from smp.application.ports.session_reader import SessionPosition, SessionReader
from smp.application.queries.views import UserView
from smp.domain.user.session import Session
from smp.domain.user.user import Role

_FIND: Final = sql(
    """
    SELECT s.user_id, s.id, s.token_digest, s.created_at, s.last_seen_at, s.source, s.user_agent, s.token_role,
           u.email, u.role, u.disabled, u.created_at AS registered_at
    FROM sessions AS s JOIN users AS u ON u.id = s.user_id
    WHERE s.user_id = :user_id AND s.token_digest = :token_digest
    """,
    is_urgent=True,
)
_LIST: Final = sql(
    """
    SELECT user_id, id, token_digest, created_at, last_seen_at, source, user_agent, token_role FROM sessions
    WHERE user_id = :user_id AND (created_at, id) < (CAST(:before AS timestamptz), CAST(:before_id AS uuid))
    ORDER BY created_at DESC, id DESC LIMIT :limit
    """
)

_AFTER_ALL: Final[SessionPosition] = (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))


class PostgresSessionReader(SessionReader):
    """A reader of sessions; ``find`` is on the hot path: one prepared statement outside any other transaction."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def find(self, user_id: UUID, token_digest: bytes) -> tuple[Session, UserView] | None:
        """Return the user's session with this token, expired or not, and the user."""
        row = await self._pool.row(_FIND, user_id=user_id, token_digest=token_digest)
        if row is None:
            return None
        registered_at = instant_of(row["registered_at"])
        user = UserView(row["user_id"], row["email"], Role(row["role"]), row["disabled"], registered_at)
        return session_of(row), user

    async def list(self, user_id: UUID, page: PageRequest[SessionPosition]) -> Page[Session, SessionPosition]:
        """Return the user's sessions, expired or not, newest first."""
        before, before_id = page.after or _AFTER_ALL
        rows = await self._pool.rows(
            _LIST, user_id=user_id, before=instant_of(before), before_id=before_id, limit=page.limit + 1
        )
        return page_of(rows, page.limit, session_of, lambda row: (instant_of(row["created_at"]), row["id"]))
