"""``smp export`` and ``smp import``: all data into a file, and out of it into another database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final

from smp import __version__
from smp.adapters.cli.runtime import ExportOutcome, ImportOutcome
from smp.adapters.postgres.transfer_kinds import Kind, Row
from smp.adapters.postgres.transfer_rows import row_of
from smp.adapters.postgres.transfer_source import open_source
from smp.adapters.postgres.transfer_target import BATCH_BYTES, BATCH_ROWS, Batch, PostgresTransferTarget, open_target
from smp.adapters.system.clock import SystemClock
from smp.adapters.transfer_file.lines import FORMAT, Header
from smp.adapters.transfer_file.reader import TransferReader, spooled
from smp.adapters.transfer_file.writer import TransferWriter, compressed, new_file
from smp.application.transfer import Progress, Stage, Summary, TransferRefused
from smp.bootstrap.database import EMBEDDED_FOLDER, SchemaMismatch, ensure_schema, open_database, schema_state, url_of
from smp.bootstrap.settings import Settings

_REPORT_EVERY: Final = 5_000
"""Lines between two reports; a task that was cancelled notices then, too."""

Place = Path | BinaryIO
"""A file by its path, or a stream that is open."""


async def export_data(settings: Settings, destination: Place, *, packed: bool, progress: Progress) -> ExportOutcome:
    """Write all data, as they are at one instant, to ``destination``; nothing is changed in the database.

    Raises:
        TransferRefused: where there is no database, or a row cannot be moved.
        SchemaMismatch: where the schema is not of this version.
        StorageUnavailable, OSError: where the database or the disk fails; no file is left then.
    """
    if settings.database_url is None and not (settings.data_dir / EMBEDDED_FOLDER).exists():
        raise TransferRefused(f"there is no database in {settings.data_dir}: set SMP_DATABASE_URL or SMP_DATA_DIR")
    with open_database(settings) as opened:
        schema = await _schema_as_it_is(opened)
        header = Header(FORMAT, schema, __version__, await SystemClock().now())
        async with open_source(url_of(opened)) as source:
            with ExitStack() as stack:
                sink = stack.enter_context(new_file(destination)) if isinstance(destination, Path) else destination
                writer = TransferWriter(stack.enter_context(compressed(sink)) if packed else sink, header)
                total, done = await source.count(), 0
                async for kind, lines in source.lines():
                    writer.write(kind, lines)
                    done += len(lines)
                    progress(Stage.READING, done, total)
                summary = writer.end()
    return ExportOutcome(summary, schema, header.exported_at)


async def import_data(settings: Settings, source: Place, progress: Progress) -> ImportOutcome:
    """Write all rows of the file into the database, which must be empty, or have a part of them from an earlier try.

    The whole file is looked at before anything is written.

    Raises:
        TransferRefused: where the file or the database is not as it must be.
        SchemaMismatch: where the schema is not of this version.
        StorageUnavailable, OutcomeUnknown: where the database fails; running it again goes on from there.
    """
    with ExitStack() as stack:
        file = source.open("rb") if isinstance(source, Path) else spooled(source)
        reader = TransferReader(stack.enter_context(file))
        header = reader.header()
        opened = stack.enter_context(open_database(settings))
        await ensure_schema(opened)
        schema = await _schema_as_it_is(opened)
        if header.schema != schema:
            raise TransferRefused(
                f"line 1: the file has the schema {header.schema}, and this version of SMP has {schema}: import it"
                f" with SMP {header.version}, then run smp migrate of this version"
            )
        summary = await _check(reader, progress)
        async with open_target(url_of(opened), summary) as target:
            done = await target.begin()
            if done is None:
                await _compare(reader, target, progress)
                return ImportOutcome(summary, schema, header.exported_at, resumed_at=None, written=0)
            written = await _write(reader, target, done, progress)
            await target.finish()
    return ImportOutcome(summary, schema, header.exported_at, done if done > 1 else None, written)


async def _schema_as_it_is(opened: Settings) -> str:
    """The schema, which must be this version's, neither older nor newer. Raises SchemaMismatch."""
    state = await schema_state(opened)
    if state.is_current:
        return state.head
    found = "has no schema yet" if state.current is None else f"has the schema {state.current}"
    raise SchemaMismatch(
        f"the database {found}, and this version moves data of {state.head}: run smp migrate first, or use the version"
        " of SMP that migrated it"
    )


async def _check(reader: TransferReader, progress: Progress) -> Summary:
    """Read all of the file, and every row of it. Raises TransferRefused."""
    size = reader.size()
    counts: dict[str, int] = {}
    for number, line in reader.rows():
        kind, _ = row_of(number, line)
        counts[kind.name] = counts.get(kind.name, 0) + 1
        if number % _REPORT_EVERY == 0:
            progress(Stage.CHECKING, reader.position(), size)
            await asyncio.sleep(0)
    if counts != _without_none(reader.summary.counts):
        raise TransferRefused("the rows are not of the kinds that the last line tells: export it again")
    return reader.summary


def _without_none(counts: Mapping[str, int]) -> dict[str, int]:
    return {kind: count for kind, count in counts.items() if count}


async def _write(reader: TransferReader, target: PostgresTransferTarget, done: int, progress: Progress) -> int:
    """Everything after line ``done``; how many rows were not there yet."""
    written = 0
    async for batch in _batches(reader, done):
        written += await target.write(batch, done)
        done = batch.numbers[-1]
        progress(Stage.WRITING, done - 1, reader.summary.lines)
    return written


async def _compare(reader: TransferReader, target: PostgresTransferTarget, progress: Progress) -> None:
    async for batch in _batches(reader, 1):
        await target.compare(batch)
        progress(Stage.COMPARING, batch.numbers[-1] - 1, reader.summary.lines)


async def _batches(reader: TransferReader, after: int) -> AsyncIterator[Batch]:
    """The rows after that line, those of one kind together, as many as a batch may have.

    The last batch comes only when the file has proven to be the one that was checked. Raises TransferRefused.
    """
    checked = reader.summary
    numbers: list[int] = []
    rows: list[Row] = []
    kind: Kind | None = None
    size = 0
    for number, line in reader.rows():
        if number % _REPORT_EVERY == 0:
            await asyncio.sleep(0)
        if number <= after:
            continue
        its_kind, row = row_of(number, line)
        if kind is not None and (its_kind is not kind or len(rows) == BATCH_ROWS or size + len(line) > BATCH_BYTES):
            yield Batch(kind, numbers, rows)
            numbers, rows, size = [], [], 0
        kind = its_kind
        numbers.append(number)
        rows.append(row)
        size += len(line)
    if reader.summary != checked:
        raise TransferRefused("the file was changed while it was read")
    if kind is not None:
        yield Batch(kind, numbers, rows)
