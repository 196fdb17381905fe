"""Transactions that change the same rows lock them in the same order, so that they do not deadlock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest

from smp.adapters.postgres.login_throttle import PostgresLoginThrottle
from smp.adapters.postgres.pool import PostgresPool
from smp.application.caller import ANONYMOUS
from smp.application.commands.log_in import LogIn
from smp.application.errors import InvalidCredentials
from tests.support.builders import NOW, PASSWORD, a_session, a_user
from tests.support.postgres_storage import postgres_storage
from tests.support.use_cases import HASHER, UseCases

WAITING: Final = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Another transaction."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("BEGIN")
    yield connection
    connection.terminate()


async def one_waits(connection: asyncpg.Connection[Any]) -> None:
    async with asyncio.timeout(20):
        while await connection.fetchval(WAITING) == 0:
            await asyncio.sleep(0.01)


async def test_a_sign_in_that_ends_old_sessions_does_not_deadlock_with_disabling_the_user(
    pool: PostgresPool, database_url: str, other: asyncpg.Connection[Any]
) -> None:
    storage = postgres_storage(pool)
    use_cases = UseCases.over(storage)
    ann = a_user(password_hash=await HASHER.hash(PASSWORD))
    await storage.keep(ann)
    first = await use_cases(LogIn(ann.email.text, PASSWORD), ANONYMOUS)
    await other.execute("UPDATE users SET disabled = true")
    again = asyncio.create_task(use_cases(LogIn(ann.email.text, PASSWORD, presented_tokens=(first.token,)), ANONYMOUS))
    await one_waits(other)
    await other.execute("SELECT FROM sessions FOR UPDATE NOWAIT")
    await other.execute("DELETE FROM sessions")
    await other.execute("COMMIT")
    with pytest.raises(InvalidCredentials):
        await again


async def test_a_count_of_sign_ins_is_taken_off_in_the_order_in_which_it_was_counted(
    pool: PostgresPool, other: asyncpg.Connection[Any]
) -> None:
    throttle = PostgresLoginThrottle(pool)
    await throttle.attempt("ann", "here", NOW)
    await throttle.attempt("bob", "here", NOW)
    await other.execute("SELECT FROM login_throttle WHERE starts_with(key, 'account') FOR UPDATE")
    success = asyncio.create_task(throttle.succeeded("ann", "here"))
    await one_waits(other)
    assert await other.fetchval("SELECT count(*) FROM (SELECT FROM login_throttle FOR UPDATE NOWAIT) AS rows") == 3
    await other.execute("COMMIT")
    await success
    rows = await other.fetch("SELECT split_part(key, ':', 1), attempts FROM login_throttle ORDER BY key")
    assert [tuple(row) for row in rows] == [("account", 1), ("source", 1)]


async def test_all_sessions_of_a_user_are_ended_in_the_order_of_their_tokens(
    pool: PostgresPool, other: asyncpg.Connection[Any]
) -> None:
    storage = postgres_storage(pool)
    ann = a_user()
    sessions = sorted(
        (a_session(ann, f"token {number}") for number in range(5)), key=lambda session: session.token_digest
    )
    await storage.keep(ann, *reversed(sessions))
    await other.execute("SELECT FROM sessions WHERE token_digest = $1 FOR UPDATE", sessions[2].token_digest)

    async def end_all() -> int:
        async with storage.unit_of_work() as work:
            ended = await work.sessions.remove_all(ann.id, except_=sessions[1].id)
            await work.commit()
            return len(ended)

    ending = asyncio.create_task(end_all())
    await one_waits(other)
    later = [session.token_digest for session in sessions[3:]]
    await other.execute("SELECT FROM sessions WHERE token_digest = ANY ($1) FOR UPDATE NOWAIT", later)
    await other.execute("COMMIT")
    assert await ending == 4
