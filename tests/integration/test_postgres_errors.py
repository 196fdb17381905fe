"""Errors of PostgreSQL and the network: their meaning for a use case, and their effect on the connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final
from uuid import UUID

import asyncpg
import pytest

from smp.adapters.postgres.errors import ErrorContext, translate, translate_driver_errors
from smp.adapters.postgres.pool import PostgresPool, create_pool
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.adapters.postgres.replica_reads import ReplicaReads
from smp.adapters.postgres.statements import Statement, sql
from smp.adapters.postgres.transaction import open_transaction
from smp.adapters.postgres.unit_of_work import PostgresUnitOfWorkFactory
from smp.adapters.postgres.user_reader import PostgresUserReader
from smp.application.errors import OutcomeUnknown, StorageUnavailable, TransactionConflict
from smp.application.idempotency import DuplicateRequest
from smp.application.paging import PageRequest
from smp.application.ports.entitlement_changes import EntitlementChange
from smp.domain.errors import (
    EmailTaken,
    LiveSubscriptionExists,
    PlanCodeTaken,
    StorageIntegrityError,
    TrialAlreadyUsed,
    UserNotFound,
)
from smp.domain.user.user import User
from tests.support.builders import a_key, a_plan, a_user, an_active, an_outcome
from tests.support.proxies import Proxy, proxy_to
from tests.support.storage import RecordedChanges, Thing, add

ANN: Final = UUID(int=1)
CONTEXT: Final = ErrorContext(ANN, "pro")
ONE: Final = sql("SELECT 1 AS one")
BACKENDS: Final = sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
OPEN_TRANSACTIONS: Final = sql(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL"
    " AND pid <> pg_backend_pid()"
)

IN_TIME_S: Final = 3.0
"""The product's promise for a database that does not answer."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Require the block to end in this time."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


@asynccontextmanager
async def pool_of(url: str, settings: PoolSettings | None = None) -> AsyncIterator[PostgresPool]:
    pool = await create_pool(url, settings)
    try:
        yield pool
    finally:
        await pool.close()


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the condition is true, because the server notices a lost client after a moment."""
    for _ in range(250):
        if await condition():
            return
        await asyncio.sleep(0.02)
    pytest.fail("it never came true")


def raising(sqlstate: str, constraint: str = "") -> str:
    """Return SQL that makes the server raise this error."""
    named = f", CONSTRAINT = '{constraint}'" if constraint else ""
    return f"DO $$ BEGIN RAISE EXCEPTION 'raised' USING ERRCODE = '{sqlstate}'{named}; END $$"


@pytest.mark.parametrize(
    ("sqlstate", "constraint", "expected"),
    [
        ("23505", "user_emails_pkey", EmailTaken),
        ("23505", "plans_code_key", PlanCodeTaken),
        ("23505", "subscriptions_one_live", LiveSubscriptionExists),
        ("23505", "trials_once_per_plan", TrialAlreadyUsed),
        ("23505", "trials_once_per_user", TrialAlreadyUsed),
        ("23505", "trials_once_per_person", TrialAlreadyUsed),
        ("23503", "subscriptions_user_fkey", UserNotFound),
        ("23503", "trials_user_fkey", UserNotFound),
        ("23503", "sessions_user_fkey", UserNotFound),
        ("23505", "event_log_pkey", StorageIntegrityError),
        ("23P01", "subscriptions_no_overlap", LiveSubscriptionExists),
        ("23514", "subscriptions_trial", StorageIntegrityError),
        ("23001", "event_log_immutable", StorageIntegrityError),
        ("23502", "", StorageIntegrityError),
        ("40001", "", TransactionConflict),
        ("40P01", "", TransactionConflict),
        ("55P03", "", TransactionConflict),
        ("57014", "", StorageUnavailable),
        ("57P01", "", StorageUnavailable),
        ("57P03", "", StorageUnavailable),
        ("53300", "", StorageUnavailable),
        ("53100", "", StorageUnavailable),
        ("08006", "", StorageUnavailable),
        ("25006", "", StorageUnavailable),
        ("26000", "", StorageUnavailable),
        ("42P05", "", StorageUnavailable),
        ("25P03", "", StorageUnavailable),
        ("40003", "", StorageUnavailable),
        ("58030", "", StorageUnavailable),
        ("22021", "", StorageIntegrityError),
        ("22P05", "", StorageIntegrityError),
        ("22003", "", StorageIntegrityError),
        ("42P01", "", StorageIntegrityError),
        ("0A000", "", StorageIntegrityError),
        ("XX001", "", StorageIntegrityError),
    ],
)
async def test_each_error_of_the_server_has_one_meaning_for_the_application(
    untouched_database_url: str, sqlstate: str, constraint: str, expected: type[Exception]
) -> None:
    """By SQLSTATE and constraint, regardless of the text. During COMMIT, a lost server means an unknown outcome."""
    connection = await asyncpg.connect(untouched_database_url)
    try:
        with pytest.raises(asyncpg.PostgresError) as raised:
            await connection.execute(raising(sqlstate, constraint))
    finally:
        await connection.close()
    translated = translate(raised.value, CONTEXT)
    assert type(translated) is expected
    in_doubt = OutcomeUnknown if expected is StorageUnavailable else expected
    assert type(translate(raised.value, CONTEXT, committing=True)) is in_doubt


def test_a_refusal_names_the_user_and_the_plan() -> None:
    def of(constraint: str) -> object:
        error = asyncpg.UniqueViolationError("duplicate")
        error.constraint_name = constraint
        return translate(error, CONTEXT)

    assert isinstance(live := of("subscriptions_one_live"), LiveSubscriptionExists)
    assert live.user_id == ANN
    assert isinstance(tried := of("trials_once_per_plan"), TrialAlreadyUsed)
    assert (tried.user_id, tried.plan) == (ANN, "pro")
    assert isinstance(taken := of("plans_code_key"), PlanCodeTaken)
    assert taken.plan == "pro"
    assert isinstance(unknown := of("event_log_pkey"), StorageIntegrityError)
    assert unknown.rule == "event_log_pkey"


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        ConnectionResetError(),
        TimeoutError(),
        FileNotFoundError(),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.ProtocolError("what is this?"),
    ],
)
def test_a_lost_connection_is_storage_unavailable(error: Exception) -> None:
    """During COMMIT the outcome is unknown."""
    assert type(translate(error)) is StorageUnavailable
    assert type(translate(error, committing=True)) is OutcomeUnknown


def test_other_errors_are_raised_unchanged() -> None:
    assert translate(ValueError()) is None
    assert translate(EmailTaken()) is None
    with pytest.raises(ZeroDivisionError), translate_driver_errors():
        raise ZeroDivisionError
    with pytest.raises(asyncio.CancelledError), translate_driver_errors():
        raise asyncio.CancelledError


async def test_a_text_that_cannot_be_stored_is_not_found_and_not_written(pool: PostgresPool) -> None:
    unit_of_work = PostgresUnitOfWorkFactory(pool)
    echo = sql("SELECT CAST(:value AS text)")
    for text in ("\x00", "ann\x00@example.com", "\ud800"):
        async with unit_of_work() as work:
            assert await work.users.find_by_email(text) is None
        page = await PostgresUserReader(pool, ReplicaReads(pool)).list(text, PageRequest())
        assert page.items == []
        with pytest.raises(StorageIntegrityError):
            await pool.row(echo, value=text)
    with pytest.raises(StorageIntegrityError):
        await pool.row(sql("SELECT CAST(:value AS bigint)"), value=2**70)


async def test_every_connection_has_the_time_limits_of_the_program(database_url: str) -> None:
    """Regardless of the server's settings."""
    expected = {
        "statement_timeout": "5s",
        "lock_timeout": "1s",
        "idle_in_transaction_session_timeout": "10s",
        "default_transaction_isolation": "read committed",
        "TimeZone": "UTC",
        "application_name": "smp",
    }
    async with pool_of(database_url) as pool:
        rows = await pool.rows(sql("SELECT name, current_setting(name) AS value FROM pg_settings"))
    settings = {row["name"]: row["value"] for row in rows}
    assert {name: settings[name] for name in expected} == expected


async def test_a_pool_can_start_while_the_database_is_away() -> None:
    """It connects on first use; until the database is back, calls fail fast."""
    async with pool_of("postgresql://nobody@127.0.0.1:1/nothing") as pool:
        with within(IN_TIME_S), pytest.raises(StorageUnavailable):
            await pool.row(ONE)


async def test_a_server_that_never_answers_causes_an_error_in_time() -> None:
    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with pool_of(f"postgresql://nobody@127.0.0.1:{port}/nothing") as pool:
        with within(IN_TIME_S), pytest.raises(StorageUnavailable):
            await pool.row(ONE)
    for writer in writers:
        writer.transport.abort()
    silent.close()


async def test_a_server_that_stops_answering_causes_an_error_in_time(database_url: str) -> None:
    """The connection is not used again; later calls succeed."""
    async with proxy_to(database_url) as proxy, pool_of(proxy.url, PoolSettings(size=1)) as pool:
        assert await pool.row(ONE) is not None
        proxy.stop_passing()
        with within(IN_TIME_S), pytest.raises(StorageUnavailable):
            await pool.row(ONE)
        proxy.resume_passing()
        assert await values_of(pool, ONE) == [1]


async def test_a_pool_recovers_after_a_restart_of_the_server(database_url: str) -> None:
    async with proxy_to(database_url) as proxy, pool_of(proxy.url) as pool:
        await asyncio.gather(*(pool.row(ONE) for _ in range(5)))
        await proxy.close()
        for _ in range(3):
            with within(IN_TIME_S), pytest.raises(StorageUnavailable):
                await pool.row(ONE)
        await proxy.listen()
        await asyncio.gather(*(pool.row(ONE) for _ in range(5)))


async def test_a_caller_gets_an_error_if_no_connection_is_free_in_time(database_url: str) -> None:
    """Later callers get one."""
    async with pool_of(database_url, PoolSettings(size=1)) as pool:
        async with pool.connection():
            with within(1.5), pytest.raises(StorageUnavailable):
                await pool.row(ONE)
        assert await pool.row(ONE) is not None


async def test_a_statement_that_takes_too_long_is_cancelled_on_the_server_too(database_url: str) -> None:
    settings = PoolSettings(size=1, lock_timeout_s=0.1, command_timeout_s=0.2, application_name="smp slow")
    async with pool_of(database_url, settings) as pool, pool_of(database_url) as watcher:
        with within(1.5), pytest.raises(StorageUnavailable):
            await pool.row(sql("SELECT pg_sleep(60)"))
        assert await pool.row(ONE) is not None
        await eventually(lambda: is_zero_but(watcher, "smp slow", 1))


async def test_a_statement_may_have_a_separate_time_limit(database_url: str) -> None:
    """Such as the long checks of smp doctor."""
    async with pool_of(database_url, PoolSettings(lock_timeout_s=0.1, command_timeout_s=0.2)) as pool:
        assert await pool.row(sql("SELECT pg_sleep(0.4)", timeout_s=5)) is not None


async def test_a_cancelled_request_leaves_no_transaction_and_frees_its_connection(database_url: str) -> None:
    async with pool_of(database_url, PoolSettings(size=1)) as pool, pool_of(database_url) as watcher:
        unit_of_work = PostgresUnitOfWorkFactory(pool)
        for pause in (0.0, 0.001, 0.005, 0.02):
            task = asyncio.create_task(add_and_wait(unit_of_work, f"user-{pause}@example.com"))
            await asyncio.sleep(pause)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await pool.row(ONE) is not None
        await eventually(lambda: has_no_open_transaction(watcher))
        assert await emails(pool) == []


async def test_a_terminated_connection_changes_nothing_and_is_replaced(pool: PostgresPool, database_url: str) -> None:
    unit_of_work = PostgresUnitOfWorkFactory(pool)
    # In doubt where the driver has not seen the end of the connection yet; certain otherwise.
    with pytest.raises((StorageUnavailable, OutcomeUnknown)):
        await add_and(unit_of_work, lambda: terminate_others(database_url))
    assert await emails(pool) == []


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_commit_that_is_cut_off_has_an_unknown_outcome_until_the_key_is_repeated(
    database_url: str,
    arrives: bool,  # noqa: FBT001
) -> None:
    async with proxy_to(database_url) as proxy, pool_of(proxy.url) as pool, pool_of(database_url) as watcher:
        cut_at_commit(proxy, arrives=arrives)
        unit_of_work = PostgresUnitOfWorkFactory(pool)
        ann = a_user()
        with within(IN_TIME_S), pytest.raises(OutcomeUnknown):
            await register(unit_of_work, ann)
        proxy.cut_before = proxy.cut_after = None
        assert await emails(watcher) == (["ann@example.com"] if arrives else [])
        if arrives:
            with pytest.raises(DuplicateRequest) as again:
                await register(unit_of_work, ann)
            assert again.value.outcome == an_outcome(ann)
        else:
            await register(unit_of_work, ann)
        assert await emails(watcher) == ["ann@example.com"]


async def add_all(unit_of_work: PostgresUnitOfWorkFactory, *things: Thing) -> None:
    """Add the users in one transaction."""
    async with unit_of_work() as work:
        for thing in things:
            await add(work, thing)
        await work.commit()


async def test_a_change_with_an_unknown_outcome_sends_a_notification(database_url: str) -> None:
    """It may have been committed, and a cache without it would be wrong."""
    changes, ann, plan = RecordedChanges(), a_user(), a_plan()
    async with proxy_to(database_url) as proxy, pool_of(proxy.url) as pool:
        unit_of_work = PostgresUnitOfWorkFactory(pool, changes)
        await add_all(unit_of_work, ann, plan)
        cut_at_commit(proxy, arrives=True)
        with pytest.raises(OutcomeUnknown):
            await add_all(unit_of_work, an_active(ann, plan))
    assert changes.changes == [EntitlementChange(frozenset({ann.id}))]


async def test_a_commit_on_a_lost_connection_is_known_to_have_failed(database_url: str) -> None:
    """Nothing was sent."""
    async with proxy_to(database_url) as proxy, pool_of(proxy.url) as pool:
        unit_of_work = PostgresUnitOfWorkFactory(pool)

        async def lose() -> None:
            proxy.cut()
            await asyncio.sleep(0.05)

        with pytest.raises(StorageUnavailable) as lost:
            await add_and(unit_of_work, lose)
        assert type(lost.value) is StorageUnavailable


async def test_a_statement_works_again_after_the_schema_was_migrated(database_url: str, pool: PostgresPool) -> None:
    """Inside a transaction it is a conflict, so the transaction is retried."""
    read_all = sql("SELECT * FROM test_clock")
    migration = await asyncpg.connect(database_url)

    async def read() -> None:
        async with open_transaction(pool) as transaction:
            await transaction.rows(read_all)

    await read()
    await migration.execute("ALTER TABLE test_clock ADD COLUMN zone text")
    await migration.close()
    with pytest.raises(TransactionConflict):
        await read()
    await read()


async def test_a_missing_or_additional_value_is_an_error_before_anything_is_sent(pool: PostgresPool) -> None:
    statement = sql("SELECT CAST(:one AS bigint) + CAST(:two AS bigint) + CAST(:one AS bigint) AS sum")
    assert await values_of(pool, statement, one=1, two=2) == [4]
    for wrong in ({"one": 1}, {"one": 1, "two": 2, "three": 3}):
        with pytest.raises(TypeError, match="one"):
            await pool.row(statement, **wrong)


def cut_at_commit(proxy: Proxy, *, arrives: bool) -> None:
    def is_commit(data: bytes) -> bool:
        return b"COMMIT" in data

    if arrives:
        proxy.cut_after = is_commit
    else:
        proxy.cut_before = is_commit


async def register(unit_of_work: PostgresUnitOfWorkFactory, user: User) -> None:
    """Add the user as an idempotent request."""
    async with unit_of_work(a_key()) as work:
        await work.users.add(user)
        await work.commit(an_outcome(user))


async def add_and(unit_of_work: PostgresUnitOfWorkFactory, then: Callable[[], Awaitable[None]]) -> None:
    """Add a user, run ``happen``, and commit."""
    async with unit_of_work() as work:
        await work.users.add(a_user())
        await then()
        await work.commit()


async def add_and_wait(unit_of_work: PostgresUnitOfWorkFactory, email: str) -> None:
    async with unit_of_work() as work:
        await work.users.add(a_user(email))
        await asyncio.sleep(60)


async def terminate_others(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()


async def is_zero_but(pool: PostgresPool, name: str, expected: int) -> bool:
    row = await pool.row(BACKENDS, name=name)
    return row is not None and row[0] == expected


async def has_no_open_transaction(pool: PostgresPool) -> bool:
    row = await pool.row(OPEN_TRANSACTIONS)
    return row is not None and row[0] == 0


async def values_of(pool: PostgresPool, statement: Statement, **values: object) -> list[object]:
    """Return the only row of the statement."""
    (row,) = await pool.rows(statement, **values)
    return list(row)


async def emails(pool: PostgresPool) -> list[str]:
    return [row["email"] for row in await pool.rows(sql("SELECT email FROM users ORDER BY email"))]
