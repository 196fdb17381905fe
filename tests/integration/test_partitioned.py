"""Frequent statements use one shard only, in a database that is sharded by user.

The plans of PostgreSQL on a partitioned schema show it: a distributed engine routes by the same condition, which is
equality with the shard key. The contract tests cover the behaviour.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

import pytest

from benchmarks.recording import Journal, RecordingPool, Sent
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.tables import DISTRIBUTED_BY
from smp.domain.plan.plan import Plan
from smp.domain.user.user import User
from tests.support.builders import (
    DAY,
    NOW,
    a_key,
    a_plan,
    a_session,
    a_trial,
    a_user,
    an_active,
    an_outcome,
    some_metadata,
)
from tests.support.postgres_storage import postgres_storage
from tests.support.storage import Storage

PART: Final = re.compile(rf"({'|'.join(DISTRIBUTED_BY)})_p[0-9]+")

Work = Callable[[Storage, User, Plan], Awaitable[object]]


async def authenticate(storage: Storage, ann: User, _: Plan) -> None:
    """Find the session by its token, and record its use."""
    session = a_session(ann)
    assert await storage.sessions.find(ann.id, session.token_digest) is not None
    await storage.session_activity.record_use(session, NOW + DAY)


async def check_access(storage: Storage, ann: User, _: Plan) -> None:
    """Check access as the access endpoint does after authentication."""
    assert await storage.access.snapshot(ann.id) is not None


async def show_current(storage: Storage, ann: User, _: Plan) -> None:
    """Show the caller's subscription."""
    assert await storage.subscriptions.current(ann.id, NOW) is not None


async def activate(storage: Storage, ann: User, plan: Plan) -> None:
    """Activate with an idempotency key, after the last subscription has ended."""
    async with storage.unit_of_work(a_key(caller=f"user:{ann.id}")) as work:
        current = await work.subscriptions.find_open_for_update(ann.id)
        assert current is not None
        await work.subscriptions.save(current.cancel_now(some_metadata(NOW + DAY)))
        await work.subscriptions.add(an_active(ann, plan, NOW + 2 * DAY))
        await work.commit(an_outcome(ann))


async def start_trial(storage: Storage, ann: User, _: Plan) -> None:
    """Start a trial of another plan, which also reads the used trials."""
    other = a_plan("other")
    await storage.keep(other)
    async with storage.unit_of_work() as work:
        current = await work.subscriptions.find_open_for_update(ann.id)
        assert current is not None
        await work.subscriptions.save(current.cancel_now(some_metadata(NOW + DAY)))
        trial = a_trial(ann, other, NOW + 2 * DAY)
        await work.subscriptions.claim_trial(trial, once_per_user=True)
        await work.subscriptions.add(trial)
        await work.commit()


async def renew(storage: Storage, ann: User, plan: Plan) -> None:
    """Renew, which moves the end and the span."""
    async with storage.unit_of_work() as work:
        current = await work.subscriptions.find_open_for_update(ann.id)
        assert current is not None
        await work.subscriptions.save(current.renew(plan.revision, some_metadata(NOW + DAY)))
        await work.commit()


async def sign_out(storage: Storage, ann: User, _: Plan) -> None:
    """End the present session, and then all sessions."""
    session = a_session(ann)
    async with storage.unit_of_work() as work:
        await work.sessions.remove_by_digest(ann.id, session.token_digest)
        await work.sessions.remove(ann.id, session.id)
        await work.sessions.remove_all(ann.id)
        await work.users.get(ann.id, for_change=True)
        await work.commit()


async def find_by_email(storage: Storage, ann: User, _: Plan) -> None:
    """Find a user for a login: first the id by email, then the user."""
    async with storage.unit_of_work() as work:
        assert await work.users.find_by_email(ann.email.key) is not None


HOT: Final = (authenticate, check_access, show_current, activate, start_trial, renew, sign_out, find_by_email)


def shards(plan: dict[str, Any]) -> Iterator[str]:
    """Return the partitions that a plan reads or writes."""
    if (name := plan.get("Relation Name")) is not None and PART.fullmatch(name):
        yield name
    for child in plan.get("Plans", ()):
        yield from shards(child)


async def explained(pool: PostgresPool, sent: Sent) -> Counter[str]:
    """Return how many shards of each table the statement uses."""
    async with pool.connection() as connection:
        row = await connection.fetchrow(f"EXPLAIN (FORMAT JSON) {sent.sql}", *sent.values)
    assert row is not None
    return Counter(name.rpartition("_p")[0] for name in {*shards(json.loads(row[0])[0]["Plan"])})


async def recorded(pool: PostgresPool, work: Work) -> Sequence[Sent]:
    """Return the statements that the adapter sends."""
    ann, plan = a_user(), a_plan()
    await postgres_storage(pool).keep(ann, plan, a_session(ann), an_active(ann, plan))
    journal = Journal()
    await work(postgres_storage(RecordingPool(pool, journal)), ann, plan)
    return journal.take()


@pytest.mark.parametrize("work", HOT, ids=lambda work: work.__name__)
async def test_every_frequent_statement_uses_one_shard_of_each_table(
    partitioned_pool: PostgresPool, work: Work
) -> None:
    sent = [one for one in await recorded(partitioned_pool, work) if one.sql not in {"BEGIN", "COMMIT", "ROLLBACK"}]
    assert sent
    for one in sent:
        touched = await explained(partitioned_pool, one)
        assert set(touched.values()) <= {1}, one.sql
    tables = set().union(*[await explained(partitioned_pool, one) for one in sent])
    assert tables <= set(DISTRIBUTED_BY)


async def test_a_statement_that_uses_all_shards_is_found(partitioned_pool: PostgresPool) -> None:
    """Such as a search for a session by its token only."""
    everywhere = Sent("SELECT FROM sessions WHERE token_digest = $1", (b"",))
    assert await explained(partitioned_pool, everywhere) == {"sessions": 4}
