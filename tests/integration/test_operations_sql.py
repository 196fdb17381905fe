"""The SQL on the pages in docs/operations does what the pages say."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from smp.adapters.postgres.bulk_loader import PostgresBulkLoader
from smp.adapters.postgres.integrity import PostgresIntegrityChecker
from smp.adapters.postgres.migrator import migrate
from smp.adapters.postgres.pool import PostgresPool
from smp.application.caller import ANONYMOUS
from smp.application.commands.log_in import LogIn
from smp.application.errors import InvalidCredentials, TooManyAttempts
from tests.support.builders import (
    DAY,
    NOW,
    a_key,
    a_plan,
    a_session,
    a_trial,
    a_user,
    an_active,
    an_admin,
    an_outcome,
    some_metadata,
)
from tests.support.postgres import Server
from tests.support.postgres_storage import postgres_storage
from tests.support.use_cases import HASHER, UseCases

FOLDER: Final = Path(__file__).parents[2] / "docs" / "operations"
TEXT: Final = "\n".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md")))


def statements(begins: str, **changes: str) -> str:
    """Return the SQL block that begins with this line, with some words or psql variables replaced."""
    blocks: list[str] = re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)
    (found,) = [block for block in blocks if block.startswith(begins)]
    for name, value in changes.items():
        variable = f":'{name}'"
        found, number = re.subn(variable if variable in found else rf"\b{name}\b", value, found)
        assert number
    return found


async def execute(url: str, sql: str) -> None:
    """Execute each statement separately, as psql does."""
    connection = await asyncpg.connect(url)
    try:
        for statement in sql.split(";\n"):
            if statement.strip():
                await connection.execute(statement)
    finally:
        await connection.close()


async def findings(pool: PostgresPool) -> set[str]:
    """Return the names of the checks that fail."""
    found = await PostgresIntegrityChecker(pool).check(NOW + DAY)
    return {check_result.check for check_result in found if not check_result.ok}


async def test_the_sql_for_wrong_counts_corrects_them_and_triggers_continue_from_there(
    pool: PostgresPool, database_url: str
) -> None:
    plan, users = a_plan(), [a_user(f"user-{number}@example.com") for number in range(4)]
    storage = postgres_storage(pool)
    await storage.keep(plan)
    one, two, three, _ = users
    trials = [
        a_trial(one, plan),
        a_trial(two, plan).convert(plan.revision, some_metadata(NOW + DAY)),
        an_active(three, plan),
    ]
    await PostgresBulkLoader(pool).load(users, trials)
    await execute(database_url, "UPDATE subscription_count_changes SET n = n + 3;\nDELETE FROM user_count_changes;\n")
    assert await findings(pool) == {"counts_of_subscriptions", "counts_of_users"}
    await execute(database_url, statements("BEGIN;\nLOCK TABLE users"))
    assert await findings(pool) == set()
    await PostgresBulkLoader(pool).load([late := a_user("late@example.com")], [an_active(late, plan)])
    assert await findings(pool) == set()


async def test_after_an_erasure_no_row_names_the_person_and_the_email_is_free(
    pool: PostgresPool, database_url: str
) -> None:
    storage, plan = postgres_storage(pool), a_plan()
    use_cases = UseCases.over(storage)
    ann = a_user("Ann@example.com", password_hash=await HASHER.hash("correct horse battery staple"))
    await storage.keep(plan, ann, an_admin(), a_session(ann))
    await storage.keep_trial(a_trial(ann, plan), ann.email.person)
    async with storage.unit_of_work(a_key(caller=f"user:{ann.id}")) as work:
        await work.commit(an_outcome(ann))
    await execute(database_url, statements("BEGIN;\nDELETE FROM sessions WHERE", user_id=f"'{ann.id}'"))
    assert await findings(pool) == set()
    assert await naming(database_url, "ann@") == []
    for email in ("ann@example.com", f"erased-{ann.id}@erased.invalid"):
        with pytest.raises(InvalidCredentials):
            await use_cases(LogIn(email, "correct horse battery staple", "192.0.2.1", "a browser"), ANONYMOUS)
    await storage.keep(again := a_user("ann@example.com"))
    await storage.keep_trial(a_trial(again, plan), again.email.person)


async def naming(url: str, word: str) -> list[str]:
    """Return the tables in which a row contains the word, in any case, also within bytes."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = []
        for (table,) in tables:
            condition = f"lower(t::text) LIKE '%{word}%' OR t::text LIKE '%{word.encode().hex()}%'"
            query = f"SELECT EXISTS (SELECT FROM {table} AS t WHERE {condition})"  # noqa: S608 - names of our tables
            if await connection.fetchval(query):
                found.append(str(table))
        return found
    finally:
        await connection.close()


async def test_an_operator_can_unlock_one_account_and_no_other(pool: PostgresPool, database_url: str) -> None:
    throttle = postgres_storage(pool).throttle
    for account in ("ann@example.com", "bob@example.com"):
        with pytest.raises(TooManyAttempts):  # noqa: PT012 - one of many
            for number in range(20):
                await throttle.attempt(account, f"192.0.2.{number}", NOW)
    await execute(database_url, statements("DELETE FROM login_throttle"))
    await throttle.attempt("ann@example.com", "192.0.2.1", NOW)
    with pytest.raises(TooManyAttempts):
        await throttle.attempt("bob@example.com", "192.0.2.1", NOW)


@pytest.mark.parametrize("begins", ["SELECT pid, state", "SELECT client_addr"])
async def test_postgresql_accepts_the_queries_of_the_runbook(database_url: str, begins: str) -> None:
    await execute(database_url, statements(begins))


@pytest.fixture
def names(postgres_server: Server, worker_id: str) -> Iterator[Mapping[str, str]]:
    """Return names for the roles and the database of the page; roles are shared by the whole server."""
    end = f"{worker_id}_{postgres_server.template[-8:]}"
    names = {"smp": f"smp_{end}", **{role: f"{role}_{end}" for role in ("smp_owner", "smp_a", "smp_b")}}
    yield names
    postgres_server.execute(f"DROP DATABASE IF EXISTS {names['smp']} WITH (FORCE)")
    for role in ("smp_a", "smp_b", "smp_owner"):
        postgres_server.execute(f"DROP ROLE IF EXISTS {names[role]}")


def url_of(server: Server, names: Mapping[str, str], role: str, password: str) -> str:
    """Return the URL with which the role connects to the database."""
    parts = urlsplit(server.url(names["smp"]))
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{names[role]}:{password}@{host}"))


async def test_the_database_password_is_rotated_while_it_is_used(
    postgres_server: Server, names: Mapping[str, str]
) -> None:
    """Each role can migrate and use what the other created. The old role cannot connect after it is disabled."""
    admin_url = postgres_server.admin_url
    await execute(admin_url, statements("CREATE ROLE smp_owner", **names))
    first = url_of(postgres_server, names, "smp_a", "the-first-password")
    second = url_of(postgres_server, names, "smp_b", "the-next-password")
    await migrate(first)
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(second)
    serving = await asyncpg.connect(first)
    await execute(admin_url, statements("ALTER ROLE smp_b LOGIN", smp_b=names["smp_b"]))
    await execute(second, "INSERT INTO test_clock VALUES (true, now())")
    await execute(second, "ALTER TABLE users ADD COLUMN more text")
    assert await serving.fetchval("SELECT count(*) FROM test_clock") == 1
    owners = await serving.fetch("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert [row[0] for row in owners] == [names["smp_owner"]]
    await execute(admin_url, statements("ALTER ROLE smp_a NOLOGIN", smp_a=names["smp_a"]))
    async with asyncio.timeout(5):
        while not serving.is_closed():
            await asyncio.sleep(0.01)
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(first)
    await execute(second, "SELECT count(*) FROM users")
