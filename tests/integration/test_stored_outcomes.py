"""Stored outcomes in PostgreSQL: rows of other versions, and the moment between reading and locking."""

from __future__ import annotations

import json

import asyncpg
import pytest

from smp.adapters.http.problems.table import BY_SLUG
from smp.adapters.postgres import idempotency
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import Statement, sql
from smp.adapters.postgres.unit_of_work import PostgresUnitOfWorkFactory
from smp.application.errors import OutcomeUnknown, TransactionConflict
from smp.application.idempotency import DuplicateRequest, IdempotencyKey
from smp.domain.errors import EmailTaken
from smp.domain.user.user import User
from tests.support.builders import DAY, NOW, a_key, a_user, an_outcome

OF_THE_PREVIOUS_RELEASE = """
    INSERT INTO idempotency_keys (caller, key, fingerprint, status, headers, body, created_at)
    VALUES ($1, $2, $3, 201, '{}', 'a body', $4)
"""
REFUSED_BY_THE_PREVIOUS_RELEASE = """
    INSERT INTO idempotency_keys (caller, key, fingerprint, status, headers, body, created_at)
    VALUES ($1, $2, $3, 409, '{}', 'a problem', $4)
"""
OF_ANOTHER_VERSION = """
    INSERT INTO idempotency_keys (caller, key, fingerprint, created_at, outcome_type, outcome)
    VALUES ($1, $2, $3, $4, '{type}', '{outcome}')
"""


async def write(database_url: str, statement: str, key: IdempotencyKey) -> None:
    """Write a row of this key as another version of the service does."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statement, key.caller, key.key, key.fingerprint, key.received_at)
    finally:
        await connection.close()


async def register(unit_of_work: PostgresUnitOfWorkFactory, key: IdempotencyKey, user: User) -> None:
    async with unit_of_work(key) as work:
        await work.users.add(user)
        await work.commit(an_outcome(user))


@pytest.mark.parametrize(
    "statement",
    [
        OF_THE_PREVIOUS_RELEASE,
        OF_ANOTHER_VERSION.format(type="RenamedOutcome", outcome="{}"),
        OF_ANOTHER_VERSION.format(type="UserOutcome", outcome='{"account": 1}'),
        OF_ANOTHER_VERSION.format(type="UserOutcome", outcome="{"),
    ],
    ids=["a stored response", "an unknown type", "another shape", "no JSON"],
)
async def test_a_stored_outcome_that_cannot_be_read_is_unknown_and_nothing_runs_twice(
    pool: PostgresPool, database_url: str, statement: str
) -> None:
    await write(database_url, statement, a_key())
    unit_of_work = PostgresUnitOfWorkFactory(pool)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match="another version"):
            await register(unit_of_work, a_key(), a_user())
    assert await pool.rows(sql("SELECT 1 FROM users")) == []


async def test_an_expired_row_of_the_previous_release_is_replaced(pool: PostgresPool, database_url: str) -> None:
    await write(database_url, OF_THE_PREVIOUS_RELEASE, a_key(at=NOW))
    unit_of_work, ann = PostgresUnitOfWorkFactory(pool), a_user()
    await register(unit_of_work, a_key(at=NOW + 2 * DAY), ann)
    with pytest.raises(DuplicateRequest) as caught:
        await register(unit_of_work, a_key(at=NOW + 2 * DAY), ann)
    assert caught.value.outcome == an_outcome(ann)
    assert await pool.rows(sql("SELECT 1 FROM idempotency_keys WHERE status = 201")) == []


async def test_a_request_that_the_previous_release_refused_is_processed_again(
    pool: PostgresPool, database_url: str
) -> None:
    await write(database_url, REFUSED_BY_THE_PREVIOUS_RELEASE, a_key())
    unit_of_work, ann = PostgresUnitOfWorkFactory(pool), a_user()
    await register(unit_of_work, a_key(), ann)
    with pytest.raises(DuplicateRequest) as caught:
        await register(unit_of_work, a_key(), ann)
    assert caught.value.outcome == an_outcome(ann)


async def test_the_previous_release_answers_a_request_that_this_one_ran_with_outcome_unknown(
    pool: PostgresPool,
) -> None:
    """It reads the response columns during a rollout, and would fail on empty ones."""
    await register(PostgresUnitOfWorkFactory(pool), a_key(), a_user())
    (row,) = await pool.rows(sql("SELECT status, headers, body FROM idempotency_keys"))
    problem = BY_SLUG["outcome-unknown"]
    assert (row["status"], row["headers"]) == (problem.status, {"content-type": "application/problem+json"})
    document = json.loads(row["body"])
    assert (document["type"], document["title"], document["status"]) == (
        "/problems/outcome-unknown",
        problem.title,
        problem.status,
    )


async def test_a_repeat_that_is_refused_because_the_first_request_has_just_committed_gets_its_outcome(
    pool: PostgresPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeat has found no outcome and gets the lock that the first request has just released."""
    unit_of_work, ann = PostgresUnitOfWorkFactory(pool), a_user()
    await register(unit_of_work, a_key(), ann)
    monkeypatch.setattr(idempotency, "_READ_OR_LOCK", blind())
    with pytest.raises(DuplicateRequest) as caught:
        await register(unit_of_work, a_key(), a_user(ann.email.text))
    assert caught.value.outcome == an_outcome(ann)
    with pytest.raises(EmailTaken):
        await register(unit_of_work, a_key("another key"), a_user(ann.email.text))


async def test_a_second_outcome_for_a_key_is_a_conflict(pool: PostgresPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unique key prevents it; nothing of the second request remains, and its next attempt finds the outcome."""
    unit_of_work = PostgresUnitOfWorkFactory(pool)
    await register(unit_of_work, a_key(), a_user())
    monkeypatch.setattr(idempotency, "_READ_OR_LOCK", blind())
    with pytest.raises(TransactionConflict):
        await register(unit_of_work, a_key(), a_user("bob@example.com"))
    assert len(await pool.rows(sql("SELECT 1 FROM users"))) == 1


def blind() -> Statement:
    """Run a statement that finds no outcome and gets the lock, as if it began before the first request committed."""
    return sql(
        """
        SELECT NULL AS fingerprint, NULL AS outcome_type, NULL AS outcome,
               pg_try_advisory_xact_lock(CAST(:lock AS bigint)) AS locked
        WHERE CAST(:caller AS text) <> '' AND CAST(:key AS text) <> ''
          AND CAST(:expired_before AS timestamptz) IS NOT NULL
        """
    )
