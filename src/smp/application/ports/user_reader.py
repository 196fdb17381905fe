"""Reading users."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol
from uuid import UUID

from smp.application.paging import Page, PageRequest
from smp.application.queries.views import UserView

UserPosition = tuple[str]
"""Email key."""


class UserReader(Protocol):
    """Users to look at."""

    @abstractmethod
    async def get(self, user_id: UUID) -> UserView:
        """The user. Raises UserNotFound."""

    @abstractmethod
    async def list(self, email_prefix: str, page: PageRequest[UserPosition]) -> Page[UserView, UserPosition]:
        """Users whose email begins so, without regard to case, by email."""
