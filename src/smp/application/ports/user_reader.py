"""The reader port for users."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from smp.application.paging import Page, PageRequest
from smp.application.queries.views import UserView

UserPosition = tuple[str]
"""The email key of a user."""


class UserReader(Protocol):
    """The reader of users."""

    @abstractmethod
    async def get(self, user_id: UUID) -> UserView:
        """Return the user. Raises UserNotFound."""

    @abstractmethod
    async def get_by_email(self, email: str) -> UserView:
        """Return the user who has this email, in any case; it may be any text. Raises UserNotFound."""

    @abstractmethod
    async def administrators(self) -> Sequence[UserView]:
        """Return all users of the role ``admin``, sorted by email."""

    @abstractmethod
    async def list(self, email_prefix: str, page: PageRequest[UserPosition]) -> Page[UserView, UserPosition]:
        """Return the users whose email begins with the prefix, in any case, sorted by email."""
