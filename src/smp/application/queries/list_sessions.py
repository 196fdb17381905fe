"""List the sessions of a user."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from smp.application.caller import Caller
from smp.application.paging import Page, PageRequest
from smp.application.ports.clock import Clock
from smp.application.ports.session_reader import SessionPosition, SessionReader
from smp.application.ports.user_reader import UserReader
from smp.application.queries.views import SessionView
from smp.domain.user.session import SessionPolicy


@dataclass(frozen=True, slots=True)
class ListSessions:
    """The query for the user's sessions."""

    user_id: UUID
    page: PageRequest[SessionPosition] = field(default_factory=PageRequest)


@dataclass(frozen=True, slots=True)
class ListSessionsHandler:
    """The handler of :class:`ListSessions`. Sessions that have ended are left out, even if their rows still exist."""

    sessions: SessionReader
    users: UserReader
    clock: Clock
    policy: SessionPolicy

    async def __call__(self, query: ListSessions, caller: Caller) -> Page[SessionView, SessionPosition]:
        """Return a page of sessions, newest first. It can have fewer items than the limit and not be the last page."""
        user = caller.known_user if caller.is_user(query.user_id) else await self.users.get(query.user_id)
        now = await self.clock.now()
        page = await self.sessions.list(query.user_id, query.page)
        ends = [(session, self.policy.ends_at(session, user.role)) for session in page.items]
        views = [
            SessionView(
                session.id,
                session.created_at,
                session.last_seen_at,
                ends_at,
                session.source,
                session.user_agent,
                session.id == caller.session_id,
            )
            for session, ends_at in ends
            if now < ends_at
        ]
        return Page(views, page.next)
