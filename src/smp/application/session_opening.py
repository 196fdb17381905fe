"""Opening a session: after a sign-in, and after a change of the password."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from smp.application.event_metadata import EventMetadataFactory
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.token_generator import TokenGenerator
from smp.application.ports.unit_of_work import UnitOfWork
from smp.application.queries.views import UserView
from smp.application.session_revocation import record_revoked
from smp.application.session_token import new_session_token
from smp.domain.user.session import RevocationReason, Session, SessionPolicy
from smp.domain.user.user import User

SESSIONS_MAX: Final = 20
"""The most sessions that a user can have; one more ends the oldest."""


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """The user, the session's new token (which can be read only now), its start, and the session's latest end."""

    user: UserView
    token: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SessionOpener:
    """Opens sessions with new tokens."""

    ids: IdGenerator
    tokens: TokenGenerator
    policy: SessionPolicy

    async def open(
        self, work: UnitOfWork, user: User, source: str, user_agent: str, new_metadata: EventMetadataFactory
    ) -> OpenedSession:
        """Add a session of the user, whose row must be locked, and end the oldest ones beyond :data:`SESSIONS_MAX`."""
        now = new_metadata.at
        token = new_session_token(user.id, self.tokens)
        await work.sessions.add(
            Session(self.ids.new(), user.id, self.tokens.digest(token), now, now, source, user_agent, user.role)
        )
        revoked = await work.sessions.remove_oldest(user.id, keep=SESSIONS_MAX)
        await record_revoked(work, user.id, revoked, RevocationReason.SESSION_LIMIT, new_metadata)
        return OpenedSession(UserView.of(user), token, now, now + self.policy.of(user.role).absolute)
