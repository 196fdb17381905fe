"""Large data sets that stay for the next run: a sample, made by the domain code and multiplied in SQL.

The ids of a copy differ from the sample's in their last 32 bits, and the emails in their beginning; all else is equal.
Constraints and indexes are dropped before the copy and created after it, which checks the data. ``smp doctor`` must
find nothing wrong before a data set is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import asyncpg
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from benchmarks import processes, scenarios
from benchmarks.progress import Progress
from benchmarks.server import FOLDER, Server
from smp.adapters.postgres.bulk_loader import PostgresBulkLoader
from smp.adapters.postgres.migrations_path import migrations_path
from smp.adapters.postgres.pool import create_pool
from smp.adapters.postgres.tables import event_log, subscription_spans, subscriptions, trials, user_emails, users
from smp.adapters.postgres.unit_of_work import PostgresUnitOfWorkFactory
from smp.domain.plan.plan import Plan
from smp.domain.user.user import User

SAMPLE: Final = 10_000
"""Users in a sample: few enough to be made in seconds, and enough that repeated dates do not matter."""

_LOAD_AT_ONCE: Final = 1_000
_PREFIX: Final = "bench_"
_COPIED: Final[Sequence[Table]] = (user_emails, users, subscriptions, subscription_spans, trials, event_log)
_OWN_IDS: Final = frozenset({"id", "user_id", "subscription_id", "subject_id", "shard_key", "actor_id"})
_ORDERED_BY: Final = ("id", "subscription_id", "user_id")
_OWN_TEXTS: Final = frozenset({"email", "email_key"})

# In the order of dependencies: foreign keys are dropped first and created last; keys come before other indexes.
_CONSTRAINTS: Final = """
    SELECT conrelid::regclass::text AS "table", quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition,
           contype = 'f' AS is_reference
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('f', 'u', 'x', 'p')
    AND conrelid = ANY ($1::regclass[])
    ORDER BY contype = 'f' DESC, contype
"""
_INDEXES: Final = """
    SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
    FROM pg_index WHERE indrelid = ANY ($1::regclass[])
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
_REFERRING: Final = """
    SELECT DISTINCT conrelid::regclass::text FROM pg_constraint
    WHERE contype = 'f' AND confrelid = ANY ($1::regclass[])
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of data set; ``sample`` makes the part that is multiplied, for a number of users."""

    name: str
    sample: Callable[[int], scenarios.Sample]


PLATFORM: Final = Kind("platform", scenarios.platform)
"""Subscriptions of all kinds; four of ten are live."""

LIVE: Final = Kind("live", lambda size: scenarios.platform(size, only_live=True))
"""The live subscriptions of :data:`PLATFORM`."""

DUE: Final = Kind("due", scenarios.due)
"""Overdue subscriptions: they have ended, and no job has recorded it."""


class Datasets:
    """Databases with data, shared by the benchmarks: copy one before you change subscriptions in it."""

    def __init__(self, server: Server, progress: Progress) -> None:
        self._server = server
        self._progress = progress

    async def database(self, kind: Kind, size: int) -> str:
        """Return the name of the database of this kind with ``size`` users, after creating it if it is missing.

        Raises:
            Failed: if ``smp doctor`` finds something wrong with it.
        """
        name = f"{_PREFIX}{kind.name}_{size}_{_digest()}"
        if name not in await self._server.databases():
            await self._make(kind, size, name)
        return name

    async def empty(self, name: str, people: Sequence[User] = ()) -> str:
        """Create a database with the plans, and with users who never subscribed, and return its name."""
        database = f"{_PREFIX}{name}"
        await self._server.create(database)
        await self._load(database, scenarios.Sample(scenarios.plans(), people, ()))
        await self._server.execute("VACUUM ANALYZE", database=database)
        return database

    async def drop_outdated(self) -> None:
        """Drop data sets of other versions of this program, and the rest of interrupted runs."""
        for name in await self._server.databases():
            if name.startswith(_PREFIX) and not name.endswith(_digest()):
                await self._server.drop(name)

    async def _make(self, kind: Kind, size: int, name: str) -> None:
        draft = f"{_PREFIX}draft"
        copies = max(size // SAMPLE, 1)
        self._progress.step(f"making the data set {kind.name} of {size:,} users, once")
        await self._server.create(draft)
        sample = kind.sample(min(size, SAMPLE))
        await self._load(draft, sample)
        if copies > 1:
            async with self._server.connection(draft) as connection:
                await _multiply(connection, copies)
        await self._server.execute("VACUUM (FREEZE, ANALYZE)", "CHECKPOINT", database=draft)
        self._progress.step("smp doctor checks it")
        settings = self._server.settings(draft)
        await asyncio.to_thread(processes.run, processes.python("smp.bootstrap", "doctor"), settings, FOLDER / "log")
        await self._server.execute(f"ALTER DATABASE {draft} RENAME TO {name}")

    async def _load(self, database: str, sample: scenarios.Sample) -> None:
        pool = await create_pool(self._server.url(database))
        try:
            await _keep_plans(PostgresUnitOfWorkFactory(pool), sample.plans)
            loader = PostgresBulkLoader(pool)
            by_user = {subscription.user_id: subscription for subscription in sample.subscriptions}
            for start in range(0, len(sample.users), _LOAD_AT_ONCE):
                batch = sample.users[start : start + _LOAD_AT_ONCE]
                await loader.load(batch, [by_user[user.id] for user in batch if user.id in by_user])
        finally:
            await pool.close()


async def _keep_plans(unit_of_work: PostgresUnitOfWorkFactory, plans: Sequence[Plan]) -> None:
    async with unit_of_work() as work:
        for plan in plans:
            await work.plans.add(plan)
        await work.commit()


async def _multiply(connection: asyncpg.Connection[Any], copies: int) -> None:
    """Insert copies of every row until there are ``copies`` of each."""
    await connection.execute("SET maintenance_work_mem = '512MB'; SET work_mem = '256MB'")
    async with _loosened(connection):
        for table in _COPIED:
            names = [column.name for column in table.columns]
            values = [_of_copy(column.name, isinstance(column.type, postgresql.UUID)) for column in table.columns]
            order = values[names.index(next(key for key in _ORDERED_BY if key in names))]
            await connection.execute(
                f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {', '.join(values)}"  # noqa: S608 - names of SMP's tables
                f" FROM {table.name}, generate_series(1, {copies - 1}) AS copy"
                # Plans are not copied, so neither are their events.
                f"{' WHERE user_id IS NOT NULL' if 'user_id' in names else ''} ORDER BY {order}"
            )


def _of_copy(column: str, is_id: bool) -> str:  # noqa: FBT001 - a fact of the column
    if is_id and column in _OWN_IDS:
        return f"CAST(overlay(CAST({column} AS text) PLACING lpad(to_hex(copy), 8, '0') FROM 29) AS uuid)"
    if column in _OWN_TEXTS:
        return f"'c' || copy || '.' || {column}"
    return column


@asynccontextmanager
async def _loosened(connection: asyncpg.Connection[Any]) -> AsyncIterator[None]:
    """Drop keys, foreign keys and indexes, and create them again after the block, which checks the rows."""
    tables = [table.name for table in _COPIED]
    concerned = sorted({*tables, *(row[0] for row in await connection.fetch(_REFERRING, tables))})
    constraints = await connection.fetch(_CONSTRAINTS, concerned)
    indexes = await connection.fetch(_INDEXES, tables)
    for one in constraints:
        await connection.execute(f"ALTER TABLE {one['table']} DROP CONSTRAINT {one['name']}")
    for one in indexes:
        await connection.execute(f"DROP INDEX {one['name']}")
    yield
    for one in reversed(constraints):
        if not one["is_reference"]:
            await connection.execute(f"ALTER TABLE {one['table']} ADD CONSTRAINT {one['name']} {one['definition']}")
    for one in indexes:
        await connection.execute(one["definition"])
    for one in constraints:
        if one["is_reference"]:
            await connection.execute(f"ALTER TABLE {one['table']} ADD CONSTRAINT {one['name']} {one['definition']}")


def _digest() -> str:
    """Return a digest of everything that determines a data set."""
    files = [*sorted(Path(migrations_path()).rglob("*.py")), Path(__file__), Path(scenarios.__file__)]
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]
