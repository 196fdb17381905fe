"""Where a user is signed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from smp.application.paging import Page, PageRequest
from smp.application.ports.clock import Clock
from smp.application.queries.readers import SessionPosition, SessionReader
from smp.application.queries.views import SessionView
from smp.domain.user.session import SessionPolicy
from smp.domain.user.user import Role


@dataclass(frozen=True, slots=True)
class ListSessions:
    """Of this user; ``current`` is the session that asks."""

    user_id: UUID
    role: Role
    current: UUID | None
    page: PageRequest[SessionPosition] = field(default_factory=PageRequest)


@dataclass(frozen=True, slots=True)
class ListSessionsHandler:
    """Newest first; those that are over are left out, though their rows may still be there."""

    sessions: SessionReader
    clock: Clock
    policy: SessionPolicy

    async def __call__(self, query: ListSessions) -> Page[SessionView, SessionPosition]:
        """A page of sessions; it may hold fewer than were asked for and still not be the last."""
        now = await self.clock.now()
        page = await self.sessions.list(query.user_id, query.page)
        ends = [(session, self.policy.ends_at(session, query.role)) for session in page.items]
        views = [
            SessionView(
                session.id,
                session.created_at,
                session.last_seen_at,
                ends_at,
                session.source,
                session.user_agent,
                session.id == query.current,
            )
            for session, ends_at in ends
            if now < ends_at
        ]
        return Page(views, page.next)
