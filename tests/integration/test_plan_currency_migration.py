"""The price list of existing plans after an upgrade."""

from __future__ import annotations

from typing import Final

import asyncpg

from smp.adapters.postgres.integrity import PostgresIntegrityChecker
from smp.adapters.postgres.migrator import migrate, undo
from smp.adapters.postgres.pool import create_pool
from smp.application.paging import PageRequest
from tests.support.builders import NOW
from tests.support.postgres_storage import postgres_storage

PLANS: Final = """
    WITH added AS (
        INSERT INTO plans (id, code, name, description, status, revision, amount, version, created_at)
        SELECT gen_random_uuid(), 'plan-' || n, 'Plan', '', 'active', 2, n, 2, '2026-01-01Z'
        FROM generate_series(1, 2500) AS n
        RETURNING *
    )
    INSERT INTO plan_revisions
    SELECT id, number, amount, CASE WHEN number = 1 THEN 'AAA' WHEN amount % 2 = 0 THEN 'USD' ELSE 'EUR' END, 'P1M',
           NULL, '{}', created_at
    FROM added, generate_series(1, 2) AS number
"""


async def test_an_upgrade_lists_existing_plans_by_the_currencies_of_their_revisions(
    unmigrated_database_url: str,
) -> None:
    await migrate(unmigrated_database_url, to="0010")
    connection = await asyncpg.connect(unmigrated_database_url)
    try:
        await connection.execute(PLANS)
    finally:
        await connection.close()
    for _ in range(2):
        await migrate(unmigrated_database_url)
        pool = await create_pool(unmigrated_database_url)
        try:
            first = await postgres_storage(pool).plans.list(None, PageRequest(100))
            assert [plan.revision.price.currency for plan in first.items] == ["EUR"] * 100
            last = await postgres_storage(pool).plans.list(None, PageRequest(100, ("EUR", 2499, "plan-2499")))
            assert [plan.code for plan in last.items[:3]] == ["plan-2", "plan-4", "plan-6"]
            results = {result.check: result for result in await PostgresIntegrityChecker(pool).check(NOW)}
            assert results["plans_show_their_revision"].ok
        finally:
            await pool.close()
        await undo(unmigrated_database_url, "0010")
