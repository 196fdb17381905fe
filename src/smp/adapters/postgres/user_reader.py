"""Users for lists and views, in PostgreSQL."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from smp.adapters.postgres.mapping import user_view_of
from smp.adapters.postgres.paging import page_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.replica_reads import ReplicaReads
from smp.adapters.postgres.statements import sql
from smp.application.paging import Page, PageRequest
from smp.application.ports.user_reader import UserPosition, UserReader
from smp.application.queries.views import UserView
from smp.domain.errors import UserNotFound
from smp.domain.text import is_storable
from smp.domain.user.user import email_key

_COLUMNS: Final = "id, email, email_key, role, disabled, created_at"
_GET: Final = sql(f"SELECT {_COLUMNS} FROM users WHERE id = :user_id", is_urgent=True)  # noqa: S608 - a constant
_GET_BY_EMAIL: Final = sql(
    f"SELECT {_COLUMNS} FROM users WHERE id = (SELECT user_id FROM user_emails WHERE email_key = :email_key)"  # noqa: S608
)
_ADMINISTRATORS: Final = sql(f"SELECT {_COLUMNS} FROM users WHERE role = 'admin' ORDER BY email_key")  # noqa: S608
_FROM: Final = f"SELECT {_COLUMNS} FROM users WHERE email_key >= :begin AND email_key > :after"  # noqa: S608 - a constant
_LIST: Final = sql(f"{_FROM} AND email_key < :beyond ORDER BY email_key LIMIT :limit")
_LIST_TO_THE_END: Final = sql(f"{_FROM} ORDER BY email_key LIMIT :limit")

_SURROGATES: Final = (0xD800, 0xDFFF)


class PostgresUserReader(UserReader):
    """A reader of users; each call is one statement. Lists may be slightly stale."""

    def __init__(self, pool: PostgresPool, lists: ReplicaReads) -> None:
        self._pool = pool
        self._lists = lists

    async def get(self, user_id: UUID) -> UserView:
        """Return the user. Raises UserNotFound."""
        row = await self._pool.row(_GET, user_id=user_id)
        if row is None:
            raise UserNotFound(user_id)
        return user_view_of(row)

    async def get_by_email(self, email: str) -> UserView:
        """Return the user with this email. Raises UserNotFound."""
        key = email_key(email)
        row = await self._pool.row(_GET_BY_EMAIL, email_key=key) if is_storable(key) else None
        if row is None:
            raise UserNotFound(email)
        return user_view_of(row)

    async def administrators(self) -> Sequence[UserView]:
        """Return all administrators, sorted by the email's key."""
        return [user_view_of(row) for row in await self._pool.rows(_ADMINISTRATORS)]

    async def list(self, email_prefix: str, page: PageRequest[UserPosition]) -> Page[UserView, UserPosition]:
        """Return users whose email begins with the prefix, ignoring case, in the order of their email keys."""
        prefix = email_key(email_prefix)
        (after,) = page.after or ("",)
        if not is_storable(prefix + after):
            return Page([], None)
        beyond = _first_beyond(prefix)
        values = {"begin": prefix, "after": after, "limit": page.limit + 1}
        if beyond is None:
            rows = await self._lists.rows(_LIST_TO_THE_END, **values)
        else:
            rows = await self._lists.rows(_LIST, beyond=beyond, **values)
        return page_of(rows, page.limit, user_view_of, lambda row: (row["email_key"],))


def _first_beyond(prefix: str) -> str | None:
    """Return the least text greater than all texts with the prefix; ``None`` if there is none.

    The order is that of code points, which is the order of bytes in UTF-8 and of the collation ``"C"``.
    """
    stem = prefix.rstrip(chr(sys.maxunicode))
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    if _SURROGATES[0] <= following <= _SURROGATES[1]:
        following = _SURROGATES[1] + 1
    return stem[:-1] + chr(following)
