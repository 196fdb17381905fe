"""Sessions in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select

from smp.adapters.postgres.errors import ErrorContext
from smp.adapters.postgres.mapping import session_of, session_row
from smp.adapters.postgres.statements import Statement, sql
from smp.adapters.postgres.tables import sessions
from smp.adapters.postgres.transaction import Transaction
from smp.domain.user.session import Session, SessionRepository
from smp.domain.user.user import Role

_of_user = delete(sessions).where(sessions.c.user_id == bindparam("user_id"))

_ADD: Final = Statement(insert(sessions))
_RENEW_TOKEN: Final = sql(
    """
    UPDATE sessions SET token_digest = :token_digest, token_role = :role
    WHERE user_id = :user_id AND id = :session_id AND token_role <> CAST(:role AS text)
    RETURNING user_id, id, token_digest, created_at, last_seen_at, source, user_agent, token_role
    """
)
_REMOVE: Final = Statement(_of_user.where(sessions.c.id == bindparam("session_id")))
_REMOVE_BY_DIGEST: Final = Statement(
    _of_user.where(sessions.c.token_digest == bindparam("token_digest")).returning(sessions.c.id)
)
# Locked in the order of the tokens, as a sign-in that ends several sessions does, so that the two do not deadlock.
_in_order = (
    select(sessions.c.id)
    .where(sessions.c.user_id == bindparam("user_id"), sessions.c.id != bindparam("kept_id"))
    .order_by(sessions.c.token_digest)
    .with_for_update()
)
_REMOVE_ALL: Final = Statement(_of_user.where(sessions.c.id.in_(_in_order)).returning(sessions.c.id))
_REMOVE_OLDEST: Final = sql(
    """
    DELETE FROM sessions WHERE user_id = :user_id AND id IN (
        SELECT id FROM sessions WHERE user_id = :user_id AND id IN (
            SELECT id FROM sessions WHERE user_id = :user_id ORDER BY created_at DESC, id DESC OFFSET :keep
        ) ORDER BY token_digest FOR UPDATE
    ) RETURNING id
    """
)
_NONE: Final = UUID(int=0)


class PostgresSessionRepository(SessionRepository):
    """Sessions inside one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def add(self, session: Session) -> None:
        """Store a new session. Raises UserNotFound."""
        await self._transaction.run(_ADD, ErrorContext(session.user_id), **session_row(session))

    async def renew_token(self, user_id: UUID, session_id: UUID, token_digest: bytes, role: Role) -> Session | None:
        """Replace the token of the user's session, which must have been issued for another role, and return it."""
        row = await self._transaction.row(
            _RENEW_TOKEN, user_id=user_id, session_id=session_id, token_digest=token_digest, role=role
        )
        return None if row is None else session_of(row)

    async def remove(self, user_id: UUID, session_id: UUID) -> bool:
        """Delete the user's session; return whether it existed."""
        return await self._transaction.run(_REMOVE, user_id=user_id, session_id=session_id) == 1

    async def remove_by_digest(self, user_id: UUID, token_digest: bytes) -> Sequence[UUID]:
        """Delete the user's session with this token, and return its id, if there was one."""
        rows = await self._transaction.rows(_REMOVE_BY_DIGEST, user_id=user_id, token_digest=token_digest)
        return [row["id"] for row in rows]

    async def remove_all(self, user_id: UUID, *, except_: UUID | None = None) -> Sequence[UUID]:
        """Delete every session of the user, except the given one, and return the ids of the deleted ones."""
        rows = await self._transaction.rows(_REMOVE_ALL, user_id=user_id, kept_id=except_ or _NONE)
        return [row["id"] for row in rows]

    async def remove_oldest(self, user_id: UUID, *, keep: int) -> Sequence[UUID]:
        """Delete the user's sessions except the ``keep`` newest ones, and return the ids of the deleted ones."""
        return [row["id"] for row in await self._transaction.rows(_REMOVE_OLDEST, user_id=user_id, keep=keep)]
