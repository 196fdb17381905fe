"""In PostgreSQL, constraints decide the races: without them the races fail. Unit tests show the same for locks."""

from __future__ import annotations

from typing import Final

import pytest

from smp.adapters.postgres.pool import create_pool
from tests.support.postgres import PATIENT, Server, own_database
from tests.support.postgres_storage import postgres_storage
from tests.support.races import RACES

TRIES: Final = 5
NO_LIVE_CONSTRAINTS: Final = (
    "DROP INDEX subscriptions_one_live",
    "ALTER TABLE subscription_spans DROP CONSTRAINT subscriptions_no_overlap",
)
WITHOUT: Final = {
    "only_one_trial_of_a_plan_starts": (
        *NO_LIVE_CONSTRAINTS,
        "ALTER TABLE trials DROP CONSTRAINT trials_once_per_plan",
    ),
    "only_one_trial_starts_with_the_scope_user": (*NO_LIVE_CONSTRAINTS, "DROP INDEX trials_once_per_user"),
    "only_one_trial_starts_for_a_person": ("DROP INDEX trials_once_per_person",),
    "only_one_plan_is_activated": NO_LIVE_CONSTRAINTS,
    "an_email_is_registered_once": ("ALTER TABLE user_emails DROP CONSTRAINT user_emails_pkey",),
    "a_plan_code_is_used_once": ("ALTER TABLE plans DROP CONSTRAINT plans_code_key",),
}


@pytest.mark.parametrize("name", WITHOUT)
async def test_without_its_constraints_the_race_fails(postgres_server: Server, worker_id: str, name: str) -> None:
    """A race that passes without its constraint does not test it. A busy machine can run a race in order by chance."""
    for _ in range(TRIES):
        with own_database(postgres_server, worker_id, postgres_server.template) as url:
            if not await passes(url, name):
                return
    pytest.fail("the race passed every time")


async def passes(url: str, name: str) -> bool:
    """Return whether the race passes on a database without the constraints."""
    pool = await create_pool(url, PATIENT)
    try:
        async with pool.connection() as connection:
            for statement in WITHOUT[name]:
                await connection.execute(statement)
        await RACES[name](postgres_storage(pool))
    except AssertionError as failed:
        if "winners" not in str(failed):
            raise
        return False
    else:
        return True
    finally:
        await pool.close()
