"""Migration of the schema to the revision that this program needs.

Alembic is imported inside functions, because its import doubles the start time of a process.
"""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import asyncpg
import structlog
from asyncpg.connect_utils import SessionAttribute as Role
from sqlalchemy import Connection

from smp.adapters.postgres.connecting import require_utf8
from smp.adapters.postgres.errors import translate, translate_driver_errors
from smp.adapters.postgres.host_selector import HostSelector
from smp.adapters.postgres.migration_lock import no_other_migration
from smp.adapters.postgres.migrations_path import migrations_path
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql as written_out
from smp.application.errors import StorageUnavailable, TransactionConflict

_HEAD: Final = "0014"

VERSION_TABLE: Final = "smp_schema_version"
_FORMER_VERSION_TABLE: Final = "alembic_version"
"""The name in version 0.1, which any program that uses Alembic may have. Processes of 0.1 go on reading it."""

_CONNECT_TIMEOUT_S: Final = 5.0
# The limits of each transaction. Statements of others queue behind one that waits for a lock, so it waits for a short
# time, several times.
_LIMITS: Final = {"lock_timeout": "2s", "statement_timeout": "15min"}
_ATTEMPTS: Final = 20
_PAUSE_S: Final = 1.0

_FIND_VERSION_TABLE: Final = written_out(
    f"""
    SELECT CASE
        WHEN to_regclass('{VERSION_TABLE}') IS NOT NULL THEN '{VERSION_TABLE}'
        WHEN to_regclass('{_FORMER_VERSION_TABLE}') IS NOT NULL AND to_regclass('subscription_spans') IS NOT NULL
            THEN '{_FORMER_VERSION_TABLE}'
    END
    """,
    is_urgent=True,
)
_VERSION: Final = {
    table: written_out(f"SELECT version_num FROM {table}", is_urgent=True)  # noqa: S608 - constants
    for table in (VERSION_TABLE, _FORMER_VERSION_TABLE)
}
_ADOPT_FORMER: Final = f"""
    DO $$ BEGIN
        IF to_regclass('{VERSION_TABLE}') IS NULL AND to_regclass('{_FORMER_VERSION_TABLE}') IS NOT NULL
            AND to_regclass('subscription_spans') IS NOT NULL
        THEN
            CREATE TABLE {VERSION_TABLE} (
                version_num varchar(32) NOT NULL CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY
            );
            INSERT INTO {VERSION_TABLE} SELECT version_num FROM {_FORMER_VERSION_TABLE};
        END IF;
    END $$
"""  # noqa: S608 - constants

_log = structlog.stdlib.get_logger("smp.migrations")

Progress = Callable[[str], None]


def head() -> str:
    """Return the revision of the schema that this program needs."""
    return _HEAD


async def current(pool: PostgresPool) -> str | None:
    """Return the revision of the database's schema; ``None`` if it was never migrated. Raises StorageUnavailable."""
    table = await pool.row(_FIND_VERSION_TABLE)
    if table is None or table[0] is None:
        return None
    version = await pool.row(_VERSION[table[0]])
    return None if version is None else str(version[0])


async def migrate(url: str, progress: Progress | None = None, to: str = "head") -> None:
    """Migrate the database at ``url`` to the revision ``to``; calls ``progress`` for each applied one.

    Each revision is a transaction, unless it uses :mod:`smp.adapters.postgres.online_ddl`. After a failure the
    revisions before it stay applied, and another call goes on with the one that failed. Any number of processes may do
    this at the same time: one migrates, and the others wait and find nothing to do.

    Raises:
        StorageUnavailable: if the database does not answer.
        TransactionConflict: if another migration, or after many attempts a lock on a table, is not free in time.
    """
    await _run(url, "upgrade", to, progress)


async def undo(url: str, revision: str = "base") -> None:
    """Downgrade the database to ``revision``; data of later revisions are lost. Raises as :func:`migrate`."""
    await _run(url, "downgrade", revision, None)


def sql() -> str:
    """Return the SQL of all migrations."""
    from alembic import command  # noqa: PLC0415 - see above

    output = io.StringIO()
    command.upgrade(_config(output), "head", sql=True)
    limits = "".join(f"\n\nSET LOCAL {name} = '{value}';" for name, value in _LIMITS.items())
    return re.sub("^BEGIN;$", "BEGIN;" + limits, output.getvalue(), flags=re.MULTILINE)


async def _run(url: str, direction: str, revision: str, progress: Progress | None) -> None:
    from sqlalchemy import event  # noqa: PLC0415 - see above
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    servers = HostSelector(url, Role.primary)

    async def connect() -> asyncpg.Connection[Any]:
        with translate_driver_errors():
            connection = await servers.connect(_CONNECT_TIMEOUT_S)
            require_utf8(connection)
            return connection

    engine = create_async_engine("postgresql+asyncpg://", poolclass=NullPool, async_creator=connect)
    event.listen(engine.sync_engine, "begin", _limit)

    async def attempt() -> None:
        with _translated():
            async with engine.begin() as connection:
                await connection.exec_driver_sql(_ADOPT_FORMER)
            async with engine.connect() as connection:
                await connection.run_sync(_apply, direction, revision, progress)

    try:
        async with no_other_migration(servers, _CONNECT_TIMEOUT_S):
            await _with_retries(attempt)
    finally:
        await engine.dispose()


async def _with_retries(attempt: Callable[[], Awaitable[None]]) -> None:
    """Repeat an attempt that fails because of a lock: what it committed stays, and the next one goes on from there."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return await attempt()
        except TransactionConflict:
            _log.warning("a migration waits for a lock that another transaction holds, and tries again")
            await _pause()
    return await attempt()


async def _pause() -> None:
    """Let those go first who queued behind the migration's wait for a lock."""
    await asyncio.sleep(_PAUSE_S)


def _limit(connection: Connection) -> None:
    """Set the limits of a transaction that begins; outside of transactions this has no effect."""
    settings = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in _LIMITS.items())
    connection.exec_driver_sql(f"SELECT {settings}")


def _apply(connection: Connection, direction: str, revision: str, progress: Progress | None) -> None:
    """Run Alembic's command on the connection, with a transaction for each revision."""
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.runtime.migration import MigrationInfo  # noqa: PLC0415

    def on_version_apply(step: MigrationInfo, **_: object) -> None:
        if progress is not None:
            progress(", ".join(step.up_revision_ids) if step.is_upgrade else ", ".join(step.down_revision_ids))

    config = _config(io.StringIO())
    config.attributes.update(connection=connection, on_version_apply=on_version_apply)
    (command.upgrade if direction == "upgrade" else command.downgrade)(config, revision)


def _config(output: io.StringIO) -> Any:  # noqa: ANN401 - a class of Alembic, which is imported late
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config(output_buffer=output, attributes={"version_table": VERSION_TABLE})
    # Alembic interpolates "%" in its options.
    config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
    return config


@contextmanager
def _translated() -> Iterator[None]:
    """Translate errors that prevent a migration from running; an error of a migration itself is raised unchanged."""
    from sqlalchemy.exc import DBAPIError, PendingRollbackError  # noqa: PLC0415 - see above

    try:
        yield
    except (DBAPIError, PendingRollbackError) as raised:
        # After a cancelled statement or a lost connection, Alembic's clean-up of an autocommit block fails as well.
        error: BaseException = raised
        while isinstance(error, PendingRollbackError) and error.__context__ is not None:
            error = error.__context__
        cause = getattr(getattr(error, "orig", None), "__cause__", None)
        translated = translate(cause) if isinstance(cause, Exception) else None
        if isinstance(translated, StorageUnavailable):
            raise translated from error
        raise error  # noqa: B904 - the first error, which keeps its own context
