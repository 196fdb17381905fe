"""Users, plans and subscriptions that are written directly into a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg

from smp.adapters.postgres.bulk_loader import PostgresBulkLoader
from smp.adapters.postgres.pool import PostgresPool, create_pool
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.domain.plan.plan import Plan, Terms
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.user import Role
from tests.support.builders import a_plan, a_session, a_token, a_trial, a_user, some_terms
from tests.support.clients import Call
from tests.support.postgres_storage import postgres_storage

Value = TypeVar("Value")
_numbers: Final = count(1)


@dataclass(frozen=True, slots=True)
class Account:
    """A user who is signed in with ``token``."""

    id: UUID
    email: str
    token: str

    def call(self, port: int, method: str, path: str, body: object = None, **headers: str) -> Call:
        """Return a request of this user; keyword arguments such as ``if_match`` are headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Call(port, method, path, body, self.token, named)


class Population:
    """The content of the database at ``url``; all added rows have unique names."""

    def __init__(self, pool: PostgresPool, url: str) -> None:
        self.url = url
        self._pool = pool
        self._storage = postgres_storage(pool)

    async def account(self, role: Role = Role.USER, password_hash: str = "a hash") -> Account:  # noqa: S107
        """Add a user, signed in."""
        number = next(_numbers)
        at, secret = right_now(), f"token-{number}"
        user = a_user(f"user-{number}@example.com", role, password_hash, at)
        await self._storage.keep(user)
        await self._storage.keep(a_session(user, secret, at))
        return Account(user.id, user.email.text, a_token(user, secret))

    async def admin(self) -> Account:
        """Add an administrator, signed in."""
        return await self.account(Role.ADMIN)

    async def plan(self, terms: Terms | None = None) -> Plan:
        """Add a plan at 19.90 USD a month with a trial of two weeks, unless ``terms`` differ."""
        plan = a_plan(f"plan-{next(_numbers)}", terms or some_terms(), right_now())
        await self._storage.keep(plan)
        return plan

    async def trials(self, plan: Plan, number: int, started: timedelta) -> Sequence[Subscription]:
        """Add that many users who each started a trial of the plan so long ago."""
        users = [a_user(f"user-{next(_numbers)}@example.com") for _ in range(number)]
        trials = [a_trial(user, plan, right_now() - started) for user in users]
        await PostgresBulkLoader(self._pool).load(users, trials)
        return trials

    async def value(self, statement: str, *values: object) -> Any:  # noqa: ANN401 - what PostgreSQL answers
        """Return the first value of the statement."""
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(statement, *values)
            return None if row is None else row[0]

    async def rows(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """Return the rows of the statement."""
        async with self._pool.connection() as connection:
            return await connection.fetch(statement, *values)

    async def execute(self, *statements: str) -> None:
        """Run the statements."""
        async with self._pool.connection() as connection:
            for statement in statements:
                await connection.execute(statement)


@asynccontextmanager
async def population(url: str) -> AsyncIterator[Population]:
    """Open the database at ``url`` during the block; names mean its public tables, whatever the search path is."""
    pool = await create_pool(
        with_search_path(url, "public"),
        PoolSettings(size=4, application_name="smp tests", command_timeout_s=30.0, statement_timeout_s=60.0),
    )
    try:
        yield Population(pool, url)
    finally:
        await pool.close()


def with_search_path(url: str, search_path: str) -> str:
    """Return the URL of the same database with this search path."""
    return f"{url}{'&' if '?' in url else '?'}search_path={search_path.replace(' ', '')}"


def right_now() -> datetime:
    """Return the present instant, as servers without a test clock use it."""
    return datetime.now(UTC)


def wait_for(work: Coroutine[Any, Any, Value]) -> Value:
    """Run the coroutine to its end, in a thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
