"""Migration of the schema to the revision that this program needs.

Alembic is imported inside functions, because its import doubles the start time of a process.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import asyncpg
from asyncpg.connect_utils import SessionAttribute as Role
from sqlalchemy import Connection

from smp.adapters.postgres.errors import translate, translate_driver_errors
from smp.adapters.postgres.host_selector import HostSelector
from smp.adapters.postgres.migrations_path import migrations_path
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql as written_out
from smp.application.errors import StorageUnavailable

_HEAD: Final = "0004"

_CONNECT_TIMEOUT_S: Final = 5.0
_WAIT_FOR_OTHERS: Final = "SET LOCAL lock_timeout = '60s'"
_LOCK: Final = "SELECT pg_advisory_xact_lock(1, 2)"

_HAS_VERSION: Final = written_out("SELECT to_regclass('alembic_version') IS NOT NULL", is_urgent=True)
_VERSION: Final = written_out("SELECT version_num FROM alembic_version", is_urgent=True)

Progress = Callable[[str], None]


def head() -> str:
    """Return the revision of the schema that this program needs."""
    return _HEAD


async def current(pool: PostgresPool) -> str | None:
    """Return the revision of the database's schema; ``None`` if it was never migrated. Raises StorageUnavailable."""
    known = await pool.row(_HAS_VERSION)
    if known is None or not known[0]:
        return None
    version = await pool.row(_VERSION)
    return None if version is None else str(version[0])


async def migrate(url: str, progress: Progress | None = None, to: str = "head") -> None:
    """Migrate the database at ``url`` to the revision ``to``, all or nothing; calls ``progress`` for each applied one.

    Any number of processes may do this at the same time: one migrates, and the others wait and find nothing to do.

    Raises:
        StorageUnavailable: if the database does not answer.
        TransactionConflict: if another migration, or a lock on a table, is not free in time.
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
    return output.getvalue()


async def _run(url: str, direction: str, revision: str, progress: Progress | None) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - see above
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    servers = HostSelector(url, Role.primary)

    async def connect() -> asyncpg.Connection[Any]:
        with translate_driver_errors():
            return await servers.connect(_CONNECT_TIMEOUT_S)

    engine = create_async_engine("postgresql+asyncpg://", poolclass=NullPool, async_creator=connect)
    try:
        with _translated():
            async with engine.begin() as connection:
                await connection.exec_driver_sql(_WAIT_FOR_OTHERS)
                await connection.exec_driver_sql(_LOCK)
                await connection.run_sync(_apply, direction, revision, progress)
    finally:
        await engine.dispose()


def _apply(connection: Connection, direction: str, revision: str, progress: Progress | None) -> None:
    """Run Alembic's command in the open transaction of ``connection``."""
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

    config = Config(output_buffer=output)
    # Alembic interpolates "%" in its options.
    config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
    return config


@contextmanager
def _translated() -> Iterator[None]:
    """Translate errors that prevent a migration from running; an error of a migration itself is raised unchanged."""
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - see above

    try:
        yield
    except DBAPIError as error:
        cause = getattr(error.orig, "__cause__", None)
        translated = translate(cause) if isinstance(cause, Exception) else None
        if isinstance(translated, StorageUnavailable):
            raise translated from error
        raise
