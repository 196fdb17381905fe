"""The emails of existing accounts after an upgrade."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import asyncpg

from smp.adapters.postgres.integrity import PostgresIntegrityChecker
from smp.adapters.postgres.migrator import migrate
from smp.adapters.postgres.pool import create_pool
from tests.support.builders import NOW
from tests.support.postgres_storage import postgres_storage

EMAILS: Final = {
    UUID(int=1): "ann@xn--mnchen-3ya.example",
    UUID(int=2): "Ann@MÜNCHEN.example",
    UUID(int=3): "Bob@München.example",
    UUID(int=4): "cy@example.com",
    UUID(int=5): "用户@例子.广告",
}


async def test_an_upgrade_writes_domains_as_a_labels_and_doctor_names_pairs(unmigrated_database_url: str) -> None:
    await migrate(unmigrated_database_url, to="0009")
    connection = await asyncpg.connect(unmigrated_database_url)
    try:
        for user_id, email in EMAILS.items():
            key = email.casefold()
            await connection.execute("INSERT INTO user_emails VALUES ($1, $2)", key, user_id)
            await connection.execute(
                "INSERT INTO users (id, email, email_key, password_hash, role, disabled, created_at)"
                " VALUES ($1, $2, $3, 'a hash', 'user', false, '2026-01-01Z')",
                *(user_id, email, key),
            )
    finally:
        await connection.close()
    await migrate(unmigrated_database_url)
    pool = await create_pool(unmigrated_database_url)
    try:
        users = postgres_storage(pool).users
        for spelled, number in {
            "bob@münchen.example": 3,
            "BOB@xn--mnchen-3ya.example": 3,
            "ann@münchen.example": 1,
            "ann@xn--mnchen-3ya.example": 1,
            "CY@example.com": 4,
            "用户@xn--fsqu00a.xn--4rr70v": 5,
        }.items():
            assert (await users.get_by_email(spelled)).id == UUID(int=number), spelled
        results = {result.check: result for result in await PostgresIntegrityChecker(pool).check(NOW)}
        assert not results["domains_of_emails_are_a_labels"].ok
        assert str(UUID(int=2)) in results["domains_of_emails_are_a_labels"].detail
        assert results["emails_lead_to_their_users"].ok
    finally:
        await pool.close()
