"""Sessions: a signed-in browser, known by the digest of its token, with an idle and an absolute end."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from smp.domain.user.user import Role

TOUCH_INTERVAL: Final = timedelta(minutes=1)
"""How often at most the last use of a session is written down, where its idle time-out is not short itself."""

_TOUCHES_PER_IDLE: Final = 10
"""A session in use loses at most this part of its idle time-out by that."""


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser. Only the SHA-256 of the token is kept."""

    id: UUID
    user_id: UUID
    token_digest: bytes
    created_at: datetime
    last_seen_at: datetime
    source: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a session lives unused, and at all."""

    idle: timedelta
    absolute: timedelta


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """The time-outs by role; the role is the one the user has now, not the one at login."""

    user: Timeouts
    admin: Timeouts

    def ends_at(self, session: Session, role: Role) -> datetime:
        """The instant at which the session is over if it is not used again."""
        timeouts = self.of(role)
        return min(session.last_seen_at + timeouts.idle, session.created_at + timeouts.absolute)

    def is_to_be_touched(self, session: Session, role: Role, now: datetime) -> bool:
        """Whether the use at ``now`` is to be written down."""
        return now - session.last_seen_at >= min(TOUCH_INTERVAL, self.of(role).idle / _TOUCHES_PER_IDLE)

    def of(self, role: Role) -> Timeouts:
        """The time-outs of this role."""
        return self.admin if role is Role.ADMIN else self.user


class SessionRepository(Protocol):
    """Sessions inside one transaction."""

    @abstractmethod
    async def add(self, session: Session) -> None:
        """Keep a new session."""

    @abstractmethod
    async def remove(self, user_id: UUID, session_id: UUID) -> bool:
        """End the user's session; whether there was one."""

    @abstractmethod
    async def remove_by_digest(self, user_id: UUID, token_digest: bytes) -> None:
        """End the user's session with this token, where there is one."""

    @abstractmethod
    async def remove_all(self, user_id: UUID, *, but: UUID | None = None) -> None:
        """End every session of the user, but this one where it is given."""
