"""The port through which users are kept."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol
from uuid import UUID

from smp.domain.user.user import User


class UserRepository(Protocol):
    """Users inside one transaction."""

    @abstractmethod
    async def get(self, user_id: UUID, *, for_change: bool = False) -> User:
        """The user; with ``for_change`` protected from other changes until the transaction ends.

        Raises:
            UserNotFound: where there is none.
        """

    @abstractmethod
    async def find_by_email(self, email_key: str) -> User | None:
        """The user with this email key, if there is one."""

    @abstractmethod
    async def lock_enabled_admins(self) -> int:
        """How many enabled administrators there are; the set cannot change until the transaction ends."""

    @abstractmethod
    async def add(self, user: User) -> None:
        """Keep a new user and its events.

        Raises:
            EmailTaken: where another user has the email.
        """

    @abstractmethod
    async def save(self, user: User) -> None:
        """Keep the user's password hash, role and switch, and the events.

        Raises:
            StaleVersion: where the kept user is not the one that was changed.
        """
