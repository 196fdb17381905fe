"""Users in memory."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from smp.adapters.memory.transaction import Transaction
from smp.domain.errors import EmailTaken, StaleVersion, StorageIntegrityError, UserNotFound
from smp.domain.user.repository import UserRepository
from smp.domain.user.user import User


class MemoryUserRepository(UserRepository):
    """Users inside one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, user_id: UUID, *, for_change: bool = False) -> User:
        """The user, locked where it is to be changed. Raises UserNotFound."""
        if for_change:
            await self._transaction.lock("user", user_id)
        else:
            await self._transaction.round_trip()
        user = self._transaction.users.get(user_id)
        if user is None:
            raise UserNotFound(user_id)
        return user

    async def find_by_email(self, email_key: str) -> User | None:
        """The user with this email key, if there is one."""
        await self._transaction.round_trip()
        return next((user for user in self._transaction.users.rows() if user.email.key == email_key), None)

    async def lock_enabled_admins(self) -> int:
        """How many enabled administrators there are; whoever would change the set waits."""
        await self._lock_admins()
        return sum(user.is_enabled_admin for user in self._transaction.users.rows())

    async def add(self, user: User) -> None:
        """Keep a new user and its events. Raises EmailTaken."""
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
        """Keep the user's password hash, role and switch, and the events. Raises StaleVersion."""
        with self._transaction.writing():
            await self._transaction.lock("user", user.id)
            kept = self._transaction.users.get(user.id)
            if kept is None or kept.version != user.version - len(user.events):
                raise StaleVersion
            if kept.is_enabled_admin != user.is_enabled_admin:
                await self._lock_admins()
            changed = replace(
                kept,
                password_hash=user.password_hash,
                role=user.role,
                disabled=user.disabled,
                version=user.version,
            )
            self._transaction.users.put(user.id, changed)
            self._transaction.record(user.events)

    async def _lock_admins(self) -> None:
        await self._transaction.lock("enabled administrators")
