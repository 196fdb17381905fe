"""The reader of sessions in memory."""

from __future__ import annotations

from uuid import UUID

from smp.adapters.memory.paging import page_of
from smp.adapters.memory.store import MemoryStore
from smp.application.paging import Page, PageRequest
from smp.application.ports.session_reader import SessionPosition, SessionReader
from smp.application.queries.views import UserView
from smp.domain.user.session import Session


class MemorySessionReader(SessionReader):
    """A reader of a store's sessions."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def find(self, user_id: UUID, token_digest: bytes) -> tuple[Session, UserView] | None:
        """Return the user's session with this token, ended or not, with the user, or ``None``."""
        state = self._store.state
        of_user = (session for session in state.sessions.values() if session.user_id == user_id)
        found = next((session for session in of_user if session.token_digest == token_digest), None)
        return None if found is None else (found, UserView.of(state.users[user_id]))

    async def list(self, user_id: UUID, page: PageRequest[SessionPosition]) -> Page[Session, SessionPosition]:
        """Return the user's sessions, ended or not, newest first."""
        found = (session for session in self._store.state.sessions.values() if session.user_id == user_id)
        return page_of(found, page, lambda session: (session.created_at, session.id), descending=True)
