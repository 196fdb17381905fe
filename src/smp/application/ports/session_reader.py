"""The reader port for sessions."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol
from uuid import UUID

from smp.application.paging import Page, PageRequest
from smp.application.queries.views import UserView
from smp.domain.user.session import Session

SessionPosition = tuple[datetime, UUID]
"""The creation time and the id of a session."""


class SessionReader(Protocol):
    """The reader of sessions, also for authentication."""

    @abstractmethod
    async def find(self, user_id: UUID, token_digest: bytes) -> tuple[Session, UserView] | None:
        """Return the user's session with this token, ended or not, with the user, in one round trip, or ``None``."""

    @abstractmethod
    async def list(self, user_id: UUID, page: PageRequest[SessionPosition]) -> Page[Session, SessionPosition]:
        """Return the user's sessions, ended or not, newest first."""
