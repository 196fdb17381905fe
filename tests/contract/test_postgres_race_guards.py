"""The database is the guarantee: without its constraints the races are lost (without locks: see the unit tests)."""

from __future__ import annotations

from typing import Final

import asyncpg
import pytest

from smp.adapters.postgres.pool import PostgresPool
from tests.support.postgres_storage import postgres_storage
from tests.support.races import RACES

NO_GUARD_OF_LIVE_ONES: Final = (
    "DROP INDEX subscriptions_one_live",
    "ALTER TABLE subscription_spans DROP CONSTRAINT subscriptions_no_overlap",
)
WITHOUT: Final = {
    "one_trial": (*NO_GUARD_OF_LIVE_ONES, "ALTER TABLE trials DROP CONSTRAINT trials_once_per_plan"),
    "one_trial_in_all": (*NO_GUARD_OF_LIVE_ONES, "DROP INDEX trials_once_per_user"),
    "one_activation": NO_GUARD_OF_LIVE_ONES,
    "one_account": ("ALTER TABLE user_emails DROP CONSTRAINT user_emails_pkey",),
    "one_plan": ("ALTER TABLE plans DROP CONSTRAINT plans_code_key",),
}


@pytest.mark.parametrize("name", WITHOUT)
async def test_without_its_constraints_the_race_is_lost(pool: PostgresPool, database_url: str, name: str) -> None:
    """Where this passes the race, the constraint guards nothing, or the race shows nothing."""
    connection = await asyncpg.connect(database_url)
    for statement in WITHOUT[name]:
        await connection.execute(statement)
    await connection.close()
    with pytest.raises(AssertionError, match="winners"):
        await RACES[name](postgres_storage(pool))
