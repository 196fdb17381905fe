"""Dumping a database to an archive in ``pg_dump``'s custom format, and restoring it from there."""

from __future__ import annotations

import asyncio
import re
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from smp.adapters.postgres_tools.errors import BackupError
from smp.adapters.postgres_tools.processes import STREAM_LIMIT_BYTES, running
from smp.adapters.postgres_tools.programs import ClientPrograms

# What belongs to the server rather than to the platform stays there: roles, grants, tablespaces, replication, and
# extensions that an administrator added. The schema's own extension is named; `smp restore` would fail without it.
_DUMP: Final = ("--format=custom", "--extension=btree_gist", "--no-password", "--lock-wait-timeout=60s")
_PORTABLE: Final = ("--no-owner", "--no-privileges", "--no-comments", "--no-tablespaces")
_NO_REPLICATION: Final = ("--no-publications", "--no-subscriptions")
_PSQL: Final = ("--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse")

# PostgreSQL 15 and 16 do not have this setting, which newer versions of pg_restore set unconditionally.
_TRANSACTION_TIMEOUT: Final = b"SET transaction_timeout = 0;\n"
_TRANSACTION_TIMEOUT_IF_ANY: Final = (
    b"SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout';\n"
)
_PREAMBLE: Final = (b"\n", b"--", b"SET ", b"SELECT pg_catalog.set_config", b"\\restrict ")
# Without statistics the first requests would get bad plans. Catalogs that the role may not analyze are skipped.
_DONE: Final = b"smp: all is there\n"
_ANALYZE: Final = b"SET client_min_messages = error;\nANALYZE;\n\\echo " + _DONE
_COMMIT: Final = b"COMMIT;\n"

_REVISION: Final = re.compile(rb"^COPY \S*smp_schema_version \(version_num\) FROM stdin;\n(\d{4})\n", re.MULTILINE)
_POLL_S: Final = 0.2

Progress = Callable[[int], None]
"""Is called with the number of bytes that have been processed so far."""


async def dump(programs: ClientPrograms, environ: Mapping[str, str], file: Path | None, progress: Progress) -> None:
    """Write the database, as it is at one instant, to ``file``; ``None`` is standard output.

    Raises:
        BackupError: if ``pg_dump`` fails; what was written until then is useless.
    """
    # Not the standard output: if that is a file, pg_dump 18 writes the table of contents twice, without offsets.
    output = () if file is None else (f"--file={file}",)
    arguments = (*_DUMP, *_PORTABLE, *_NO_REPLICATION, *output)
    async with running(programs.folder / "pg_dump", *arguments, environ=environ, stdin=DEVNULL, stdout=None) as pg_dump:
        ended = asyncio.ensure_future(pg_dump.process.wait())
        while not (await asyncio.wait([ended], timeout=_POLL_S))[0]:
            progress(_size_bytes(file))
        await pg_dump.finish("the backup failed")


async def read_revision(programs: ClientPrograms, file: Path, environ: Mapping[str, str]) -> str:
    """Return the schema revision of the backup.

    Raises:
        BackupError: if ``file`` is not a backup, or not one that these programs can read.
    """
    arguments = ("--data-only", "--table=smp_schema_version", "--file=-", "--", str(file))
    program = programs.folder / "pg_restore"
    async with running(program, *arguments, environ=environ, stdin=DEVNULL, stdout=PIPE) as pg_restore:
        script = await _output_of(pg_restore.process.stdout).read()
        await pg_restore.finish(
            f"{file} is not a backup, or one of a PostgreSQL newer than {programs.major}, and nothing was changed"
        )
    found = _REVISION.search(script)
    if found is None:
        raise BackupError(f"{file} is a PostgreSQL dump, but not one of an SMP database; nothing was changed")
    return found[1].decode()


async def restore(programs: ClientPrograms, environ: Mapping[str, str], file: Path, progress: Progress) -> None:
    """Write the backup into the database in one transaction.

    ``pg_restore`` writes SQL, this process passes it to ``psql``, and sends COMMIT when ``psql`` has done all of it. If
    any of the three stops before that, even by ``kill -9``, the transaction is rolled back.

    Raises:
        BackupError: if the file is damaged or the database refuses what is in it; nothing is changed then.
    """
    script = ("--file=-", *_PORTABLE, *_NO_REPLICATION, "--", str(file))
    async with (
        running(programs.folder / "psql", *_PSQL, environ=environ, stdin=PIPE, stdout=PIPE) as psql,
        running(programs.folder / "pg_restore", *script, environ=environ, stdin=DEVNULL, stdout=PIPE) as pg_restore,
    ):
        database = psql.process.stdin
        if database is None:
            raise AssertionError("unreachable: it is a pipe")
        try:
            await _pass_on(_output_of(pg_restore.process.stdout), database, progress)
            await pg_restore.finish(f"{file} is damaged, and nothing was changed")
            database.write(_ANALYZE)
            await database.drain()
            await _wait_for(_DONE, _output_of(psql.process.stdout))
            database.write(_COMMIT)
            await database.drain()
        except ConnectionError:
            pass  # psql has ended before it read everything, and says why below
        database.close()
        await psql.finish("the restore failed, and nothing was changed")


def _size_bytes(file: Path | None) -> int:
    return 0 if file is None else file.stat().st_size


async def _pass_on(script: StreamReader, database: StreamWriter, progress: Progress) -> None:
    database.write(b"BEGIN;\n")
    while (line := await script.readline()).startswith(_PREAMBLE):
        database.write(_TRANSACTION_TIMEOUT_IF_ANY if line == _TRANSACTION_TIMEOUT else line)
    passed, part = 0, line
    while part:
        database.write(part)
        await database.drain()
        passed += len(part)
        progress(passed)
        part = await script.read(STREAM_LIMIT_BYTES)


async def _wait_for(answer: bytes, output: StreamReader) -> None:
    while (line := await output.readline()) != answer:
        if not line:
            raise ConnectionError


def _output_of(stream: StreamReader | None) -> StreamReader:
    if stream is None:
        raise AssertionError("unreachable: it is a pipe")
    return stream
