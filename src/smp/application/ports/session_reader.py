"""Reading sessions."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol
from uuid import UUID

from smp.application.paging import Page, PageRequest
from smp.application.queries.views import UserView
from smp.domain.user.session import Session

SessionPosition = tuple[datetime, UUID]
"""Creation and id."""


class SessionReader(Protocol):
    """Reads sessions."""

    @abstractmethod
    async def find(self, user_id: UUID, token_digest: bytes) -> tuple[Session, UserView] | None:
        """The user's session with this token, and the user, whether or not it is over; in one round trip."""

    @abstractmethod
    async def list(self, user_id: UUID, page: PageRequest[SessionPosition]) -> Page[Session, SessionPosition]:
        """The user's sessions, over or not, newest first."""
