"""``smp backup`` and ``smp restore``: the database into a file, and out of it into an empty database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from smp.adapters.cli.runtime import BackupOutcome, ByteProgress, RestoreOutcome
from smp.adapters.embedded_postgres.binaries import find_binaries
from smp.adapters.embedded_postgres.errors import BinariesMissing
from smp.adapters.postgres import contents, migrator
from smp.adapters.postgres.pool import PostgresPool, create_pool
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.adapters.postgres.urls import libpq_environment
from smp.adapters.postgres_tools import archive
from smp.adapters.postgres_tools.errors import BackupError
from smp.adapters.postgres_tools.new_file import new_file
from smp.adapters.postgres_tools.programs import ClientPrograms, choose_programs, find_programs
from smp.bootstrap.database import EMBEDDED_FOLDER, bring_up_to_date, describe, open_database, schema_state, url_of
from smp.bootstrap.doctor import diagnose
from smp.bootstrap.settings import Settings

_PASSED_ON: Final = ("HOME", "LD_LIBRARY_PATH", "PATH", "TMPDIR")
_OLDEST_SUPPORTED: Final = 15


async def back_up(
    settings: Settings, environ: Mapping[str, str], file: Path | None, progress: ByteProgress
) -> BackupOutcome:
    """Write the database, as it is at one instant, to ``file``; ``None`` is standard output.

    Raises:
        BackupError: if there is nothing to back up, or no program that can.
        StorageUnavailable, OSError: if the database or the disk fails; no file is left then.
    """
    if settings.database_url is None and not (settings.data_dir / EMBEDDED_FOLDER).exists():
        raise BackupError(f"there is no database in {settings.data_dir}: set SMP_DATABASE_URL or SMP_DATA_DIR")
    with open_database(settings) as opened:
        schema = (await schema_state(opened)).current
        if schema is None:
            raise BackupError(f"the database {describe(settings)} has no SMP data: correct SMP_DATABASE_URL")
        async with _pool(opened) as pool:
            programs = choose_programs(_installed(environ), await contents.server_major(pool))
            users, subscriptions = await contents.count_users_and_subscriptions(pool)
        variables = _variables(opened, environ)
        if file is None:
            await archive.dump(programs, variables, None, progress)
            return BackupOutcome(schema, users, subscriptions, None)
        with new_file(file) as draft:
            await archive.dump(programs, variables, draft, progress)
            size_bytes = draft.stat().st_size
    return BackupOutcome(schema, users, subscriptions, size_bytes)


async def restore(settings: Settings, environ: Mapping[str, str], file: Path, progress: ByteProgress) -> RestoreOutcome:
    """Write the backup into the database, which must be empty, migrate it to this version, and check it.

    Raises:
        BackupError: if the file is not a backup that this version can restore, or the database is not empty.
        StorageUnavailable: if the database does not answer.
    """
    found = _installed(environ)
    programs = choose_programs(found, max((each.major for each in found), default=_OLDEST_SUPPORTED))
    schema = await archive.read_revision(programs, file, _variables(None, environ))
    if schema > migrator.head():
        raise BackupError(
            f"{file} has the schema {schema}, newer than this version of SMP, which needs {migrator.head()}:"
            " install the version that wrote it"
        )
    with open_database(settings) as opened:
        async with _pool(opened) as pool:
            if (table := await contents.first_table(pool)) is not None:
                raise BackupError(
                    f"the database {describe(settings)} is not empty: it has the table {table}, and smp restore needs a"
                    " database without tables; create one (createdb) and set SMP_DATABASE_URL to it, or set"
                    " SMP_DATA_DIR to a new folder, and do not run smp migrate first"
                )
            await archive.restore(programs, _variables(opened, environ), file, progress)
            migration = await bring_up_to_date(opened)
            users, subscriptions = await contents.count_users_and_subscriptions(pool)
        return RestoreOutcome(schema, users, subscriptions, migration.applied, await diagnose(environ))


@asynccontextmanager
async def _pool(opened: Settings) -> AsyncIterator[PostgresPool]:
    pool = await create_pool(url_of(opened), PoolSettings(size=1, application_name="smp backup"))
    try:
        yield pool
    finally:
        await pool.close()


def _installed(environ: Mapping[str, str]) -> Sequence[ClientPrograms]:
    try:
        embedded = [find_binaries(None)[0].folder]
    except BinariesMissing:
        embedded = []
    return find_programs(embedded, _variables(None, environ))


def _variables(opened: Settings | None, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return all variables that a client program is given; passwords are in them and never in its arguments."""
    variables = {name: environ[name] for name in _PASSED_ON if name in environ} | {"LC_ALL": "C"}
    if opened is not None:
        try:
            variables |= libpq_environment(url_of(opened), environ)
        except ValueError as error:
            raise BackupError(f"{error}; leave it out of SMP_DATABASE_URL") from None
    return variables
