"""What PostgreSQL and the network can do to a use case, and what becomes of the connections."""

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
from smp.adapters.postgres.pool import PoolSettings, PostgresPool, create_pool
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
    """The block takes no longer than that."""
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
    """It holds within seconds: what the server does about a lost client takes a moment."""
    for _ in range(250):
        if await condition():
            return
        await asyncio.sleep(0.02)
    pytest.fail("it never came true")


def raising(sqlstate: str, constraint: str = "") -> str:
    """SQL that makes the server raise this."""
    named = f", CONSTRAINT = '{constraint}'" if constraint else ""
    return f"DO $$ BEGIN RAISE EXCEPTION 'raised' USING ERRCODE = '{sqlstate}'{named}; END $$"


@pytest.mark.parametrize(
    ("sqlstate", "constraint", "expected"),
    [
        ("23505", "user_emails_pkey", EmailTaken),
        ("23505", "user_emails_pkey_102008", EmailTaken),
        ("23505", "plans_code_key", PlanCodeTaken),
        ("23505", "subscriptions_one_live", LiveSubscriptionExists),
        ("23505", "trials_once_per_plan", TrialAlreadyUsed),
        ("23505", "trials_once_per_user", TrialAlreadyUsed),
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
        ("25P03", "", StorageUnavailable),
        ("40003", "", StorageUnavailable),
        ("58030", "", StorageUnavailable),
        ("22021", "", StorageIntegrityError),
        ("22P05", "", StorageIntegrityError),
        ("22003", "", StorageIntegrityError),
        ("42P01", "", StorageIntegrityError),
        ("XX001", "", StorageIntegrityError),
    ],
)
async def test_what_the_server_raises_is_translated(
    untouched_database_url: str, sqlstate: str, constraint: str, expected: type[Exception]
) -> None:
    """By SQLSTATE and the constraint's name, whatever the text; COMMIT under way turns a lost server into doubt."""
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


def test_refusals_carry_the_facts() -> None:
    """What they name is what the statement was about."""

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
    """However it was lost; while committing the outcome is unknown."""
    assert type(translate(error)) is StorageUnavailable
    assert type(translate(error, committing=True)) is OutcomeUnknown


def test_what_is_not_the_drivers_passes() -> None:
    """Errors of ours, and defects, come out as they went in."""
    assert translate(ValueError()) is None
    assert translate(EmailTaken()) is None
    with pytest.raises(ZeroDivisionError), translate_driver_errors():
        raise ZeroDivisionError
    with pytest.raises(asyncio.CancelledError), translate_driver_errors():
        raise asyncio.CancelledError


async def test_text_that_cannot_be_stored(pool: PostgresPool) -> None:
    """Asked for, it is nowhere; to be written, it is refused: by the server, or by the driver already."""
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


async def test_every_connection_has_its_limits(pool: PostgresPool) -> None:
    """Whatever the server's own settings are."""
    expected = {
        "statement_timeout": "5s",
        "lock_timeout": "2s",
        "idle_in_transaction_session_timeout": "10s",
        "default_transaction_isolation": "read committed",
        "TimeZone": "UTC",
        "application_name": "smp tests",
    }
    rows = await pool.rows(sql("SELECT name, current_setting(name) AS value FROM pg_settings"))
    settings = {row["name"]: row["value"] for row in rows}
    assert {name: settings[name] for name in expected} == expected


async def test_a_pool_starts_while_the_database_is_away() -> None:
    """It connects when it is used; what is used meanwhile fails soon."""
    async with pool_of("postgresql://nobody@127.0.0.1:1/nothing") as pool:
        with within(IN_TIME_S), pytest.raises(StorageUnavailable):
            await pool.row(ONE)


async def test_a_server_that_never_answers() -> None:
    """It takes the connection and says nothing: an error in time, not a hang."""

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


async def test_a_server_that_falls_silent(database_url: str) -> None:
    """In the middle of everything: an error in time; the connection is not used again, and all is well afterwards."""
    async with proxy_to(database_url) as proxy, pool_of(proxy.url, PoolSettings(size=1)) as pool:
        assert await pool.row(ONE) is not None
        proxy.fall_silent()
        with within(IN_TIME_S), pytest.raises(StorageUnavailable):
            await pool.row(ONE)
        proxy.speak_again()
        assert await values_of(pool, ONE) == [1]


async def test_a_server_that_is_restarted(database_url: str) -> None:
    """Errors while it is away, none when it is back, by the same pool."""
    async with proxy_to(database_url) as proxy, pool_of(proxy.url) as pool:
        await asyncio.gather(*(pool.row(ONE) for _ in range(5)))
        await proxy.go_down()
        for _ in range(3):
            with within(IN_TIME_S), pytest.raises(StorageUnavailable):
                await pool.row(ONE)
        await proxy.come_up()
        await asyncio.gather(*(pool.row(ONE) for _ in range(5)))


async def test_a_pool_that_is_used_up(database_url: str) -> None:
    """Who finds no connection within a second is told so; who comes after gets one."""
    async with pool_of(database_url, PoolSettings(size=1)) as pool:
        async with pool.connection():
            with within(1.5), pytest.raises(StorageUnavailable):
                await pool.row(ONE)
        assert await pool.row(ONE) is not None


async def test_a_statement_that_takes_too_long(database_url: str) -> None:
    """It is given up by the client, and its connection with it; the server's side ends as well."""
    settings = PoolSettings(size=1, command_timeout_s=0.2, application_name="smp slow")
    async with pool_of(database_url, settings) as pool, pool_of(database_url) as watcher:
        with within(1.5), pytest.raises(StorageUnavailable):
            await pool.row(sql("SELECT pg_sleep(60)"))
        assert await pool.row(ONE) is not None
        await eventually(lambda: is_zero_but(watcher, "smp slow", 1))


async def test_a_statement_may_have_its_own_limit(database_url: str) -> None:
    """Such as the long checks of the doctor."""
    async with pool_of(database_url, PoolSettings(command_timeout_s=0.2)) as pool:
        assert await pool.row(sql("SELECT pg_sleep(0.4)", timeout_s=5)) is not None


async def test_a_cancelled_caller_leaves_nothing_behind(database_url: str) -> None:
    """Neither an open transaction, nor a connection in an unknown state, nor a place in the pool that is lost."""
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


async def test_a_backend_that_is_terminated(pool: PostgresPool, database_url: str) -> None:
    """Nothing was changed, and the pool goes on with another connection."""
    unit_of_work = PostgresUnitOfWorkFactory(pool)
    # In doubt where the driver has not seen the end of the connection yet; certain otherwise.
    with pytest.raises((StorageUnavailable, OutcomeUnknown)):
        await add_and(unit_of_work, lambda: terminate_others(database_url))
    assert await emails(pool) == []


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_commit_that_is_cut_off(database_url: str, arrives: bool) -> None:  # noqa: FBT001 - a case
    """Whether the server committed or never heard of it cannot be told: the error says so, and the key settles it."""
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


async def keep(unit_of_work: PostgresUnitOfWorkFactory, *things: Thing) -> None:
    """Add each of them, in one transaction."""
    async with unit_of_work() as work:
        for thing in things:
            await add(work, thing)
        await work.commit()


async def test_a_change_whose_commit_has_an_unknown_outcome_is_announced(database_url: str) -> None:
    """It may have been committed, and a cache that missed it would be wrong."""
    changes, ann, plan = RecordedChanges(), a_user(), a_plan()
    async with proxy_to(database_url) as proxy, pool_of(proxy.url) as pool:
        unit_of_work = PostgresUnitOfWorkFactory(pool, changes)
        await keep(unit_of_work, ann, plan)
        cut_at_commit(proxy, arrives=True)
        with pytest.raises(OutcomeUnknown):
            await keep(unit_of_work, an_active(ann, plan))
    assert changes.changes == [EntitlementChange(frozenset({ann.id}))]


async def test_a_commit_on_a_connection_known_to_be_lost(database_url: str) -> None:
    """Nothing was sent, so nothing is in doubt."""
    async with proxy_to(database_url) as proxy, pool_of(proxy.url) as pool:
        unit_of_work = PostgresUnitOfWorkFactory(pool)

        async def lose() -> None:
            proxy.cut()
            await asyncio.sleep(0.05)

        with pytest.raises(StorageUnavailable) as lost:
            await add_and(unit_of_work, lose)
        assert type(lost.value) is StorageUnavailable


async def test_a_schema_that_changes_under_a_prepared_statement(database_url: str, pool: PostgresPool) -> None:
    """Inside a transaction it is given up, to be run again at once, and then it works."""
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


async def test_values_are_those_that_the_statement_names(pool: PostgresPool) -> None:
    """One too many or too few is a defect, told before anything is sent."""
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
    """Add a user, let something happen, and commit."""
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
    """The one row that the statement gives."""
    (row,) = await pool.rows(statement, **values)
    return list(row)


async def emails(pool: PostgresPool) -> list[str]:
    return [row["email"] for row in await pool.rows(sql("SELECT email FROM users ORDER BY email"))]
