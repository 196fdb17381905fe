"""Users in PostgreSQL."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update

from smp.adapters.postgres.errors import ErrorContext
from smp.adapters.postgres.event_log import PostgresEventLog
from smp.adapters.postgres.mapping import user_of, user_row
from smp.adapters.postgres.statements import Statement, sql
from smp.adapters.postgres.tables import user_emails, users
from smp.adapters.postgres.transaction import Transaction
from smp.domain.errors import StaleVersion, UserNotFound
from smp.domain.text import is_storable
from smp.domain.user.repository import UserRepository
from smp.domain.user.user import User

_by_id = select(users).where(users.c.id == bindparam("user_id"))

_GET: Final = Statement(_by_id)
# FOR NO KEY UPDATE, because inserts of rows that refer to the user would wait for FOR UPDATE.
_GET_FOR_UPDATE: Final = Statement(_by_id.with_for_update(key_share=True))
# Two statements instead of a join, because in a distributed database the two rows are on different servers.
_FIND_CLAIM: Final = Statement(select(user_emails.c.user_id).where(user_emails.c.email_key == bindparam("email_key")))
_CLAIM: Final = Statement(insert(user_emails))
_ADD: Final = Statement(insert(users))
_SAVE: Final = Statement(
    update(users)
    .where(users.c.id == bindparam("user_id"), users.c.version == bindparam("version_before"))
    .values({name: bindparam(name) for name in ("password_hash", "role", "disabled", "version", "changed_at")})
)

# A lock on the rows is not enough: without any administrator, there is no row to lock.
_LOCK_ADMINS: Final = sql("SELECT pg_advisory_xact_lock(1, 1)")
_ENABLED_ADMINS: Final = sql("SELECT id FROM users WHERE role = 'admin' AND NOT disabled ORDER BY id FOR NO KEY UPDATE")


class PostgresUserRepository(UserRepository):
    """Users inside one transaction."""

    def __init__(self, transaction: Transaction, events: PostgresEventLog) -> None:
        self._transaction = transaction
        self._events = events

    async def get(self, user_id: UUID, *, for_update: bool = False) -> User:
        """Return the user, locked if ``for_update``. Raises UserNotFound."""
        row = await self._transaction.row(_GET_FOR_UPDATE if for_update else _GET, user_id=user_id)
        if row is None:
            raise UserNotFound(user_id)
        return user_of(row)

    async def find_by_email(self, email_key: str) -> User | None:
        """Return the user with this email key, if there is one; ``email_key`` may be any text."""
        if not is_storable(email_key):
            return None
        claim = await self._transaction.row(_FIND_CLAIM, email_key=email_key)
        row = None if claim is None else await self._transaction.row(_GET, user_id=claim["user_id"])
        return None if row is None else user_of(row)

    async def lock_enabled_admins(self) -> int:
        """Return the number of enabled administrators, and lock their set against changes."""
        await self._transaction.row(_LOCK_ADMINS)
        return len(await self._transaction.rows(_ENABLED_ADMINS))

    async def add(self, user: User) -> None:
        """Store a new user and its events. Raises EmailTaken."""
        if user.is_enabled_admin:
            await self._transaction.row(_LOCK_ADMINS)
        context = ErrorContext(user.id)
        await self._transaction.run(_CLAIM, context, email_key=user.email.key, user_id=user.id)
        await self._transaction.run(_ADD, context, **user_row(user))
        await self._events.record(user.events, context)

    async def save(self, user: User) -> None:
        """Store the user's password hash, role and disabled flag, and the events. Raises StaleVersion."""
        written = await self._transaction.run(
            _SAVE,
            user_id=user.id,
            password_hash=user.password_hash,
            role=user.role.value,
            disabled=user.disabled,
            version=user.version,
            changed_at=user.changed_at,
            version_before=user.version - len(user.events),
        )
        if written != 1:
            self._transaction.mark_aborted()
            raise StaleVersion
        await self._events.record(user.events)
