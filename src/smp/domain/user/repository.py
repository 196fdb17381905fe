"""The repository port for users."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol
from uuid import UUID

from smp.domain.user.user import User


class UserRepository(Protocol):
    """The repository of users inside one transaction."""

    @abstractmethod
    async def get(self, user_id: UUID, *, for_update: bool = False) -> User:
        """Return the user; ``for_update`` also locks the row against changes until the transaction ends.

        Raises:
            UserNotFound: if there is no such user.
        """

    @abstractmethod
    async def find_by_email(self, email_key: str) -> User | None:
        """Return the user with this email key, or ``None``."""

    @abstractmethod
    async def lock_enabled_admins(self) -> int:
        """Lock the set of enabled administrators until the transaction ends, and return their number."""

    @abstractmethod
    async def add(self, user: User) -> None:
        """Insert a new user and its events.

        Raises:
            EmailTaken: if another user has the email.
        """

    @abstractmethod
    async def save(self, user: User) -> None:
        """Update the user's password hash, role and switch ``disabled``, and insert the events.

        Raises:
            StaleVersion: if the stored user has another version than this one before its change.
        """
