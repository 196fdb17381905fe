"""Recording the use of sessions, in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from smp.adapters.memory.store import MemoryStore
from smp.application.ports.session_activity import SessionActivity
from smp.domain.user.session import Session


class MemorySessionActivity(SessionActivity):
    """The last use of sessions, outside any other transaction."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def record_use(self, session: Session, now: datetime) -> None:
        """Record that the session was used at ``now``; one that has ended since stays ended."""
        state = self._store.state
        stored = state.sessions.get(session.id)
        if stored is not None and stored.last_seen_at < now:
            touched = {**state.sessions, session.id: replace(stored, last_seen_at=now)}
            self._store.state = replace(state, sessions=MappingProxyType(touched))
