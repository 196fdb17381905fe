"""The counts of subscriptions and users: transactions do not wait for each other, and the counts are always right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest

from smp.adapters.postgres import count_folder
from smp.adapters.postgres.bulk_loader import PostgresBulkLoader
from smp.adapters.postgres.count_folder import PostgresCountFolder
from smp.adapters.postgres.pool import PostgresPool
from smp.application.caller import OPERATOR
from smp.application.jobs.fold_counts import FoldCounts, FoldedCounts
from tests.support.builders import DAY, NOW, a_plan, a_user, an_active
from tests.support.postgres_storage import postgres_storage
from tests.support.use_cases import UseCases

TRANSACTIONS: Final = 65
"""One more than the shards of the former counts, so two of these transactions would change the same row."""

RENEW: Final = "UPDATE subscriptions SET ends_at = ends_at + interval '1 day' WHERE user_id = $1"
ROWS: Final = "SELECT count(*) FROM subscription_count_changes"


@pytest.fixture(autouse=True)
def folds_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a thousand changes would be necessary."""
    monkeypatch.setattr(count_folder, "_UNFOLDED_MAX", 0)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(database_url)
    yield connection
    connection.terminate()


async def load(pool: PostgresPool, number: int) -> list[object]:
    """Add active subscribers of one plan; return the ids of the users."""
    plan, users = a_plan(), [a_user(f"user-{each}@example.com") for each in range(number)]
    await postgres_storage(pool).keep(plan)
    await PostgresBulkLoader(pool).load(users, [an_active(user, plan) for user in users])
    return [user.id for user in users]


async def wrong_counts(pool: PostgresPool) -> list[str]:
    results = await postgres_storage(pool).integrity.check(NOW + DAY)
    return [result.check for result in results if not result.ok and result.check.startswith("counts_")]


async def test_no_open_transaction_makes_another_wait_for_a_count(
    pool: PostgresPool, database_url: str, connection: asyncpg.Connection[Any]
) -> None:
    users = await load(pool, TRANSACTIONS)
    writers = [await asyncpg.connect(database_url) for _ in users]
    try:
        for writer, user in zip(writers, users, strict=True):
            await writer.execute("BEGIN; SET LOCAL lock_timeout = '1s'")
            await writer.execute(RENEW, user)
        for writer in writers:
            await writer.execute("COMMIT")
    finally:
        for writer in writers:
            writer.terminate()
    assert await connection.fetchval("SELECT sum(n) FROM subscription_count_changes WHERE n > 0") >= TRANSACTIONS
    assert await wrong_counts(pool) == []


async def test_changes_are_added_up_and_the_counts_stay_the_same(
    pool: PostgresPool, connection: asyncpg.Connection[Any]
) -> None:
    (user, *_) = await load(pool, 3)
    for _ in range(20):
        await connection.execute(RENEW, user)
    before = await connection.fetchval(ROWS)
    folded = await UseCases.over(postgres_storage(pool))(FoldCounts(), OPERATOR)
    assert before > 20
    assert await connection.fetchval(ROWS) == before - folded.changes == 2
    assert await UseCases.over(postgres_storage(pool))(FoldCounts(), OPERATOR) == FoldedCounts()
    assert await wrong_counts(pool) == []


async def test_the_counts_are_right_at_every_instant_while_many_write_and_fold(
    pool: PostgresPool, database_url: str, connection: asyncpg.Connection[Any]
) -> None:
    users = await load(pool, 8)
    writers = [await asyncpg.connect(database_url) for _ in users]
    folder = PostgresCountFolder(pool)

    async def renew(writer: asyncpg.Connection[Any], user: object) -> None:
        for _ in range(25):
            await writer.execute(RENEW, user)

    async def fold() -> int:
        folded = 0
        while not renewals.done():
            folded += await folder.fold()
        return folded

    renewals = asyncio.gather(*map(renew, writers, users))
    folds = asyncio.gather(fold(), fold(), fold())
    try:
        while not renewals.done():
            assert await connection.fetchval("SELECT sum(n) FROM subscription_count_changes") == len(users)
        await renewals
        assert await folds
    finally:
        for writer in writers:
            writer.terminate()
    assert sum(await folds) > 0
    assert await wrong_counts(pool) == []


async def test_folding_waits_for_no_transaction(pool: PostgresPool, connection: asyncpg.Connection[Any]) -> None:
    """A row that another transaction has locked stays for a later run."""
    (user,) = await load(pool, 1)
    for _ in range(5):
        await connection.execute(RENEW, user)
    await connection.execute("BEGIN; SELECT * FROM subscription_count_changes LIMIT 1 FOR UPDATE")
    assert await PostgresCountFolder(pool).fold() > 0
    await connection.execute("COMMIT")
    assert await wrong_counts(pool) == []
