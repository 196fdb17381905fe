"""The repository of sessions in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import UUID

from smp.adapters.memory.transaction import Transaction
from smp.domain.errors import StorageIntegrityError, UserNotFound
from smp.domain.user.session import Session, SessionRepository
from smp.domain.user.user import Role


class MemorySessionRepository(SessionRepository):
    """The repository of sessions inside one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def add(self, session: Session) -> None:
        """Insert a new session. Raises UserNotFound."""
        with self._transaction.writing():
            await self._transaction.lock("session token", session.token_digest)
            if self._transaction.users.get(session.user_id) is None:
                raise UserNotFound(session.user_id)
            if any(self._is_same(session, other) for other in self._transaction.sessions.rows()):
                raise StorageIntegrityError("sessions_unique")
            self._transaction.sessions.put(session.id, session)

    async def renew_token(self, user_id: UUID, session_id: UUID, token_digest: bytes, role: Role) -> Session | None:
        """Replace the token of the user's session, which must have been issued for another role, and return it."""
        await self._transaction.lock("session", session_id)
        found = self._transaction.sessions.get(session_id)
        if found is None or found.user_id != user_id or found.token_role in {None, role}:
            return None
        renewed = replace(found, token_digest=token_digest, token_role=role)
        self._transaction.sessions.put(session_id, renewed)
        return renewed

    async def remove(self, user_id: UUID, session_id: UUID) -> bool:
        """Delete the user's session, and return whether there was one."""
        await self._transaction.lock("session", session_id)
        found = self._transaction.sessions.get(session_id)
        if found is None or found.user_id != user_id:
            return False
        self._transaction.sessions.remove(session_id)
        return True

    async def remove_by_digest(self, user_id: UUID, token_digest: bytes) -> Sequence[UUID]:
        """Delete the user's session with this token, and return its id, if there was one."""
        return await self._remove(user_id, lambda session: session.token_digest == token_digest)

    async def remove_all(self, user_id: UUID, *, except_: UUID | None = None) -> Sequence[UUID]:
        """Delete every session of the user, except the given one, and return the ids of the deleted ones."""
        return await self._remove(user_id, lambda session: session.id != except_)

    async def remove_oldest(self, user_id: UUID, *, keep: int) -> Sequence[UUID]:
        """Delete the user's sessions except the ``keep`` newest ones, and return the ids of the deleted ones."""
        rows = [row for row in self._transaction.sessions.rows() if row.user_id == user_id]
        newest = sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)[:keep]
        return await self._remove(user_id, lambda session: session not in newest)

    async def _remove(self, user_id: UUID, matches: Callable[[Session], bool]) -> Sequence[UUID]:
        await self._transaction.round_trip()
        found = [row.id for row in self._transaction.sessions.rows() if row.user_id == user_id and matches(row)]
        return [session_id for session_id in found if await self.remove(user_id, session_id)]

    @staticmethod
    def _is_same(one: Session, other: Session) -> bool:
        return one.user_id == other.user_id and (one.id == other.id or one.token_digest == other.token_digest)
