"""Constraints guarantee the races in PostgreSQL: without them, the races are lost. Unit tests do the same for locks."""

from __future__ import annotations

from typing import Final

import pytest

from smp.adapters.postgres.pool import create_pool
from tests.support.postgres import PATIENT, Server, own_database
from tests.support.postgres_storage import postgres_storage
from tests.support.races import RACES

TRIES: Final = 5
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
async def test_without_its_constraints_the_race_is_lost(postgres_server: Server, worker_id: str, name: str) -> None:
    """A race that passes without the constraint does not test it; a busy machine may run a race in order once."""
    for _ in range(TRIES):
        with own_database(postgres_server, worker_id, postgres_server.template) as url:
            if not await is_won(url, name):
                return
    pytest.fail("the race was won every time")


async def is_won(url: str, name: str) -> bool:
    """Return whether the race has one winner on a database without the constraints."""
    pool = await create_pool(url, PATIENT)
    try:
        async with pool.connection() as connection:
            for statement in WITHOUT[name]:
                await connection.execute(statement)
        await RACES[name](postgres_storage(pool))
    except AssertionError as lost:
        if "winners" not in str(lost):
            raise
        return False
    else:
        return True
    finally:
        await pool.close()
