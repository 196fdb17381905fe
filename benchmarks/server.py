"""The embedded PostgreSQL of the benchmarks, and the databases on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

import asyncpg

from benchmarks.processes import ROOT, environment, family_cpu_s
from smp.adapters.embedded_postgres.binaries import Binaries, find_binaries
from smp.adapters.embedded_postgres.server import EmbeddedPostgres
from smp.adapters.postgres.migrator import migrate

FOLDER: Final = ROOT / ".smp" / "bench"
CONNECT_TIMEOUT_S: Final = 30.0

MEMORY: Final[Mapping[str, str]] = MappingProxyType(
    {"shared_buffers": "2GB", "max_wal_size": "8GB", "checkpoint_timeout": "30min"}
)
"""The memory of a dedicated server, not PostgreSQL's defaults. The data fit into it, and no checkpoint runs during
a measurement. Commits are flushed to disk as always."""


class Server:
    """A server that runs in the block of :func:`open_server`."""

    def __init__(self, url: str, binaries: Binaries) -> None:
        self._url = url
        self._binaries = binaries

    @property
    def socket_folder(self) -> str:
        """The folder of the server's Unix socket."""
        return parse_qs(urlsplit(self._url).query)["host"][0]

    def url(self, database: str) -> str:
        """Return the URL of the database of this name."""
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{database}"))

    def settings(self, database: str, **more: str) -> dict[str, str]:
        """Return the environment of an SMP process on this database."""
        return environment(SMP_DATABASE_URL=self.url(database), SMP_LOG_LEVEL="warning", **more)

    @asynccontextmanager
    async def connection(self, database: str = "postgres") -> AsyncIterator[asyncpg.Connection[Any]]:
        """Open a connection without time limits."""
        connection = await asyncpg.connect(self.url(database), timeout=CONNECT_TIMEOUT_S)
        try:
            yield connection
        finally:
            await connection.close()

    async def execute(self, *statements: str, database: str = "postgres") -> None:
        """Execute the statements, each in a separate transaction."""
        async with self.connection(database) as connection:
            for statement in statements:
                await connection.execute(statement)

    async def value(self, query: str, *values: object, database: str = "postgres") -> Any:  # noqa: ANN401 - any column type
        """Return the single value of the query."""
        async with self.connection(database) as connection:
            return await connection.fetchval(query, *values)

    async def version(self) -> str:
        """Return the server's version."""
        return str(await self.value("SHOW server_version"))

    async def databases(self) -> set[str]:
        """Return the names of all databases."""
        async with self.connection() as connection:
            return {row[0] for row in await connection.fetch("SELECT datname FROM pg_database")}

    async def create(self, database: str) -> None:
        """Create a migrated database, and replace the one of this name."""
        await self.drop(database)
        await self.execute(f"CREATE DATABASE {database} TEMPLATE template0")
        await migrate(self.url(database))

    async def copy(self, source: str, database: str) -> None:
        """Copy a database that has no connections."""
        await self.drop(database)
        await self.execute(f"CREATE DATABASE {database} TEMPLATE {source} STRATEGY file_copy", "CHECKPOINT")

    async def drop(self, database: str) -> None:
        """Drop the database, also if it has connections."""
        await self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def cpu_s(self) -> float:
        """Return the processor time of the server in seconds, with all its processes, running or ended."""
        lines = Path(self.socket_folder, "postmaster.pid").read_text(encoding="utf-8").splitlines()
        return family_cpu_s(int(lines[0]))

    async def backends(self, database: str) -> list[int]:
        """Return the ids of the processes that serve connections to this database."""
        async with self.connection() as connection:
            rows = await connection.fetch("SELECT pid FROM pg_stat_activity WHERE datname = $1", database)
            return [row[0] for row in rows]

    async def pgbench(self, database: str, *arguments: str, options: str, timeout_s: float) -> str:
        """Return the output of pgbench; ``options`` are settings of its connections.

        Raises:
            RuntimeError: if it fails.
        """
        target = f"host={self.socket_folder} user=postgres dbname={database} options='{options}'"
        command = ("pgbench", "--no-vacuum", *arguments, target)
        done = await asyncio.to_thread(self._binaries.run, *command, cwd=Path("/"), timeout_s=timeout_s)
        if done.returncode != 0:
            raise RuntimeError(f"pgbench ended with {done.returncode}:\n{done.stdout[-4_000:]}")
        return done.stdout


@contextmanager
def open_server() -> Iterator[Server]:
    """Start the server in the folder of the benchmarks, or use the one that runs there."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    embedded = EmbeddedPostgres(FOLDER / "postgres")
    url = embedded.start()
    if asyncio.run(_set_memory(url)):
        embedded.stop()
        url = embedded.start()
    try:
        binaries, _ = find_binaries(None)
        yield Server(url, binaries)
    finally:
        embedded.stop()


async def _set_memory(url: str) -> bool:
    """Set the server's memory, and return true if it must be restarted."""
    connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    try:
        for name, value in MEMORY.items():
            await connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        await connection.execute("SELECT pg_reload_conf()")
        now = "SELECT count(*) FROM unnest($1::text[], $2::text[]) AS wanted (name, value) WHERE"
        return bool(
            await connection.fetchval(f"{now} current_setting(name) <> value", *zip(*MEMORY.items(), strict=True))
        )
    finally:
        await connection.close()
