"""The repository of users in memory."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from smp.adapters.memory.transaction import Transaction
from smp.domain.errors import EmailTaken, StaleVersion, StorageIntegrityError, UserNotFound
from smp.domain.user.repository import UserRepository
from smp.domain.user.user import User


class MemoryUserRepository(UserRepository):
    """The repository of users inside one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, user_id: UUID, *, for_update: bool = False) -> User:
        """Return the user; ``for_update`` also locks the row. Raises UserNotFound."""
        if for_update:
            await self._transaction.lock("user", user_id)
        else:
            await self._transaction.round_trip()
        user = self._transaction.users.get(user_id)
        if user is None:
            raise UserNotFound(user_id)
        return user

    async def find_by_email(self, email_key: str) -> User | None:
        """Return the user with this email key, or ``None``."""
        await self._transaction.round_trip()
        return next((user for user in self._transaction.users.rows() if user.email.key == email_key), None)

    async def lock_enabled_admins(self) -> int:
        """Lock the set of enabled administrators until the transaction ends, and return their number."""
        await self._lock_admins()
        return sum(user.is_enabled_admin for user in self._transaction.users.rows())

    async def add(self, user: User) -> None:
        """Insert a new user and its events. Raises EmailTaken."""
        with self._transaction.writing():
            if user.is_enabled_admin:
                await self._lock_admins()
            await self._transaction.lock("email", user.email.key)
            if self._transaction.users.get(user.id) is not None:
                raise StorageIntegrityError("users_id_unique")
            if any(other.email.key == user.email.key for other in self._transaction.users.rows()):
                raise EmailTaken
            self._transaction.users.put(user.id, replace(user, events=()))
            self._transaction.record(user.events)

    async def save(self, user: User) -> None:
        """Update the user's password hash, role and switch, and insert the events. Raises StaleVersion."""
        with self._transaction.writing():
            await self._transaction.lock("user", user.id)
            stored = self._transaction.users.get(user.id)
            if stored is None or stored.version != user.version - len(user.events):
                raise StaleVersion
            if stored.is_enabled_admin != user.is_enabled_admin:
                await self._lock_admins()
            changed = replace(
                stored,
                password_hash=user.password_hash,
                role=user.role,
                disabled=user.disabled,
                version=user.version,
                changed_at=user.changed_at,
            )
            self._transaction.users.put(user.id, changed)
            self._transaction.record(user.events)

    async def _lock_admins(self) -> None:
        await self._transaction.lock("enabled administrators")
