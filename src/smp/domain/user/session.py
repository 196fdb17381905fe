"""Sessions of signed-in browsers, their timeouts, and the repository port for them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

from smp.domain.user.user import Role

TOUCH_INTERVAL: Final = timedelta(minutes=1)
"""The shortest time between two updates of ``last_seen_at``, unless the idle timeout itself is short.

Not every request updates it, because that would make every request a write.
"""

_TOUCHES_PER_IDLE_TIMEOUT: Final = 10
"""The number of updates that fit into one idle timeout; a session in use can end at most a tenth of it too early."""


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser. Only the SHA-256 digest of its token is stored."""

    id: UUID
    user_id: UUID
    token_digest: bytes
    created_at: datetime
    last_seen_at: datetime
    source: str
    user_agent: str
    token_role: Role | None = None
    """The user's role when the token was issued; ``None`` for a session that version 0.1 opened."""

    def has_outdated_token(self, role: Role) -> bool:
        """Return whether the user, who has this role now, was an ordinary user when the token was issued.

        Somebody who has read that token must not become an administrator with it.
        """
        return role is Role.ADMIN and self.token_role is Role.USER


class SessionEventType(StrEnum):
    """The types of session events. Login is no event, nor is the end of a session by time."""

    REVOKED = "session.revoked"


class RevocationReason(StrEnum):
    """Why a session was ended before its time."""

    LOGIN = "login"
    """The browser that presented it signed in again."""
    LOGOUT = "logout"
    REVOKED = "revoked"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a name
    USER_DISABLED = "user_disabled"
    SESSION_LIMIT = "session_limit"
    """It was the oldest of too many."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The longest time that a session stays valid: ``idle`` without use, ``absolute`` since sign-in."""

    idle: timedelta
    absolute: timedelta


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """The timeouts for each role. The user's present role counts, not the role at sign-in."""

    user: Timeouts
    admin: Timeouts

    def ends_at(self, session: Session, role: Role) -> datetime:
        """Return the instant at which the session ends if it is not used again."""
        timeouts = self.of(role)
        return min(session.last_seen_at + timeouts.idle, session.created_at + timeouts.absolute)

    def is_to_be_touched(self, session: Session, role: Role, now: datetime) -> bool:
        """Return whether a use at ``now`` has to update ``last_seen_at``."""
        return now - session.last_seen_at >= min(TOUCH_INTERVAL, self.of(role).idle / _TOUCHES_PER_IDLE_TIMEOUT)

    def of(self, role: Role) -> Timeouts:
        """Return the timeouts of this role."""
        return self.admin if role is Role.ADMIN else self.user


class SessionRepository(Protocol):
    """The repository of sessions inside one transaction."""

    @abstractmethod
    async def add(self, session: Session) -> None:
        """Insert a new session."""

    @abstractmethod
    async def renew_token(self, user_id: UUID, session_id: UUID, token_digest: bytes, role: Role) -> Session | None:
        """Replace the token of the user's session, and return the session.

        Return ``None`` if there is no such session, or if its token was not issued for another role.
        """

    @abstractmethod
    async def remove(self, user_id: UUID, session_id: UUID) -> bool:
        """Delete the user's session, and return whether there was one."""

    @abstractmethod
    async def remove_by_digest(self, user_id: UUID, token_digest: bytes) -> Sequence[UUID]:
        """Delete the user's session with this token, and return its id, if there was one."""

    @abstractmethod
    async def remove_all(self, user_id: UUID, *, except_: UUID | None = None) -> Sequence[UUID]:
        """Delete every session of the user, except the given one, and return the ids of the deleted ones."""

    @abstractmethod
    async def remove_oldest(self, user_id: UUID, *, keep: int) -> Sequence[UUID]:
        """Delete the user's sessions except the ``keep`` newest ones, and return the ids of the deleted ones."""
