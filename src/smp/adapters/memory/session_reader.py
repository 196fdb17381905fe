"""Sessions to look at, in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from smp.adapters.memory.paging import page_of
from smp.adapters.memory.store import MemoryStore
from smp.application.paging import Page, PageRequest
from smp.application.queries.readers import SessionPosition, SessionReader
from smp.application.queries.views import UserView
from smp.domain.user.session import Session


class MemorySessionReader(SessionReader):
    """Sessions of a store."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def find(self, user_id: UUID, token_digest: bytes) -> tuple[Session, UserView] | None:
        """The user's session with this token, and the user, whether or not it is over."""
        state = self._store.state
        of_user = (session for session in state.sessions.values() if session.user_id == user_id)
        found = next((session for session in of_user if session.token_digest == token_digest), None)
        return None if found is None else (found, UserView.of(state.users[user_id]))

    async def touch(self, session: Session, now: datetime) -> None:
        """Write down that the session was used at ``now``; one that was ended meanwhile stays ended."""
        state = self._store.state
        kept = state.sessions.get(session.id)
        if kept is not None and kept.last_seen_at < now:
            touched = {**state.sessions, session.id: replace(kept, last_seen_at=now)}
            self._store.state = replace(state, sessions=MappingProxyType(touched))

    async def list(self, user_id: UUID, page: PageRequest[SessionPosition]) -> Page[Session, SessionPosition]:
        """The user's sessions, over or not, newest first."""
        found = (session for session in self._store.state.sessions.values() if session.user_id == user_id)
        return page_of(found, page, lambda session: (session.created_at, session.id), descending=True)
