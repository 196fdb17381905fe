"""Signed-in users for the benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from benchmarks.server import Server
from smp.adapters.postgres.pool import create_pool
from smp.adapters.postgres.unit_of_work import PostgresUnitOfWorkFactory
from smp.adapters.system.clock import machine_time
from smp.adapters.system.id_generator import Uuid7IdGenerator
from smp.adapters.system.token_generator import SecretsTokenGenerator
from smp.application.session_token import new_session_token
from smp.domain.user.session import Session

COOKIE: Final = "smp_session"

# Users with a live subscription, in an order that does not follow the order of the rows.
_LIVE_USERS: Final = """
    SELECT user_id FROM subscriptions WHERE status IN ('trial', 'active') ORDER BY md5(CAST(id AS text)) LIMIT $1
"""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user with a live subscription and a session."""

    user_id: UUID
    token: str

    @property
    def cookie(self) -> str:
        """The cookie header that a browser sends."""
        return f"{COOKIE}={self.token}"


async def sign_in(server: Server, database: str, count: int) -> Sequence[SignedIn]:
    """Delete all sessions, and create one for each of ``count`` users."""
    tokens, ids, now = SecretsTokenGenerator(), Uuid7IdGenerator(), machine_time()
    async with server.connection(database) as connection:
        await connection.execute("DELETE FROM sessions")
        users = [row[0] for row in await connection.fetch(_LIVE_USERS, count)]
    pool = await create_pool(server.url(database))
    signed_in = [SignedIn(user_id, new_session_token(user_id, tokens)) for user_id in users]
    try:
        async with PostgresUnitOfWorkFactory(pool)() as work:
            for one in signed_in:
                digest = tokens.digest(one.token)
                await work.sessions.add(Session(ids.new(), one.user_id, digest, now, now, "127.0.0.1", "bench"))
            await work.commit()
    finally:
        await pool.close()
    await server.execute("VACUUM ANALYZE sessions", database=database)
    return signed_in
