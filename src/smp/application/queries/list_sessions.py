"""Where a user is signed in."""

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
    """The sessions of this user."""

    user_id: UUID
    page: PageRequest[SessionPosition] = field(default_factory=PageRequest)


@dataclass(frozen=True, slots=True)
class ListSessionsHandler:
    """Newest first; those that are over are left out, though their rows may still be there."""

    sessions: SessionReader
    users: UserReader
    clock: Clock
    policy: SessionPolicy

    async def __call__(self, query: ListSessions, caller: Caller) -> Page[SessionView, SessionPosition]:
        """A page of sessions; it may hold fewer than were asked for and still not be the last."""
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
