"""The repository of sessions in memory."""

from __future__ import annotations

from uuid import UUID

from smp.adapters.memory.transaction import Transaction
from smp.domain.errors import StorageIntegrityError, UserNotFound
from smp.domain.user.session import Session, SessionRepository


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

    async def remove(self, user_id: UUID, session_id: UUID) -> bool:
        """Delete the user's session, and return whether there was one."""
        await self._transaction.lock("session", session_id)
        found = self._transaction.sessions.get(session_id)
        if found is None or found.user_id != user_id:
            return False
        self._transaction.sessions.remove(session_id)
        return True

    async def remove_by_digest(self, user_id: UUID, token_digest: bytes) -> None:
        """Delete the user's session with this token, if there is one."""
        await self._transaction.round_trip()
        for session in list(self._transaction.sessions.rows()):
            if session.user_id == user_id and session.token_digest == token_digest:
                await self.remove(user_id, session.id)

    async def remove_all(self, user_id: UUID, *, but: UUID | None = None) -> None:
        """Delete every session of the user, except the session with the given id."""
        await self._transaction.round_trip()
        for session in list(self._transaction.sessions.rows()):
            if session.user_id == user_id and session.id != but:
                await self.remove(user_id, session.id)

    @staticmethod
    def _is_same(one: Session, other: Session) -> bool:
        return one.user_id == other.user_id and (one.id == other.id or one.token_digest == other.token_digest)
