"""The reader of users in memory."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from smp.adapters.memory.paging import page_of
from smp.adapters.memory.store import MemoryStore
from smp.application.paging import Page, PageRequest
from smp.application.ports.user_reader import UserPosition, UserReader
from smp.application.queries.views import UserView
from smp.domain.errors import UserNotFound
from smp.domain.user.user import Role, email_key


class MemoryUserReader(UserReader):
    """A reader of a store's users."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def get(self, user_id: UUID) -> UserView:
        """Return the user. Raises UserNotFound."""
        user = self._store.state.users.get(user_id)
        if user is None:
            raise UserNotFound(user_id)
        return UserView.of(user)

    async def get_by_email(self, email: str) -> UserView:
        """Return the user with this email. Raises UserNotFound."""
        key = email_key(email)
        for user in self._store.state.users.values():
            if user.email.key == key:
                return UserView.of(user)
        raise UserNotFound(email)

    async def administrators(self) -> Sequence[UserView]:
        """Return all administrators, sorted by the email's key."""
        admins = [user for user in self._store.state.users.values() if user.role is Role.ADMIN]
        return [UserView.of(user) for user in sorted(admins, key=lambda user: user.email.key)]

    async def list(self, email_prefix: str, page: PageRequest[UserPosition]) -> Page[UserView, UserPosition]:
        """Return the users whose email begins with the prefix, in any case, sorted by the email's key."""
        prefix = email_key(email_prefix)
        found = (user for user in self._store.state.users.values() if user.email.key.startswith(prefix))
        users = page_of(found, page, lambda user: (user.email.key,))
        return Page([UserView.of(user) for user in users.items], users.next)
