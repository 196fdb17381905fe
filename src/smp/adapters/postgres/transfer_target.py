"""Writing rows of a transfer file into a database, batch by batch, and knowing how far that went."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import asyncpg

from smp.adapters.postgres.pool import PostgresPool, create_pool
from smp.adapters.postgres.statements import Statement, sql
from smp.adapters.postgres.transaction import Transaction, open_transaction
from smp.adapters.postgres.transfer_kinds import COUNT_TIMEOUT_S, KINDS, STATEMENT_TIMEOUT_S, Kind, Row
from smp.adapters.postgres.transfer_source import TRANSFER_POOL
from smp.application.transfer import Summary, TransferRefused
from smp.domain.errors import DomainError

BATCH_ROWS: Final = 2_000
BATCH_BYTES: Final = 8 * 1_048_576
"""Of lines as they are in the file; in memory a batch is some times that."""

_TAKE_TIME: Final = sql(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT_S:.0f}s'")
_TAKE_MORE_TIME: Final = sql(f"SET LOCAL statement_timeout = '{COUNT_TIMEOUT_S:.0f}s'")

# How far an import went is a table that is there only while one is unfinished: it is made and dropped by the import
# itself, so that no platform carries it about, and its presence alone says that the data are not whole.
_LOCK: Final = sql("SELECT pg_advisory_xact_lock(1, 3)")
_IS_BEGUN: Final = sql("SELECT to_regclass('import_progress') IS NOT NULL")
_CREATE: Final = sql("CREATE TABLE import_progress (sha256 text PRIMARY KEY, line bigint NOT NULL)")
_BEGIN: Final = sql("INSERT INTO import_progress (sha256, line) VALUES (:sha256, 1)")
_PROGRESS: Final = sql("SELECT sha256, line FROM import_progress")
_ADVANCE: Final = sql("UPDATE import_progress SET line = :line WHERE sha256 = :sha256 AND line = :line_before")
_DROP: Final = sql("DROP TABLE import_progress")
_ANALYZE: Final = sql(f"ANALYZE {', '.join(kind.name for kind in KINDS)}", COUNT_TIMEOUT_S)

_WRITES: Final[Mapping[str, Statement]] = MappingProxyType({kind.name: kind.write() for kind in KINDS})
_COMPARISONS: Final[Mapping[str, Statement]] = MappingProxyType({kind.name: kind.compare() for kind in KINDS})


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one kind from consecutive lines, with the numbers of those."""

    kind: Kind
    numbers: Sequence[int]
    rows: Sequence[Row]

    def values(self) -> dict[str, object]:
        """As the statements take them: a column at a time."""
        columns = zip(*self.rows, strict=True)
        names = (column.name for column in self.kind.columns)
        return {"line": self.numbers, **{name: list(column) for name, column in zip(names, columns, strict=True)}}

    def single(self) -> list[Batch]:
        """A batch for each row."""
        return [Batch(self.kind, [number], [row]) for number, row in zip(self.numbers, self.rows, strict=True)]


class PostgresTransferTarget:
    """The database that the file goes into, for the file that ``summary`` is of.

    Every method raises StorageUnavailable or OutcomeUnknown as a commit does; then the import may simply be run again.
    """

    def __init__(self, pool: PostgresPool, summary: Summary) -> None:
        self._pool = pool
        self._summary = summary

    async def begin(self) -> int | None:
        """The last line that is written: 1 at the beginning, more where an import of this file was stopped.

        ``None`` where the database has data already, which can only be right where they are those of the file.

        Raises:
            TransferRefused: where an import of another file is unfinished, or other data are there.
        """
        async with open_transaction(self._pool) as transaction:
            await transaction.row(_TAKE_MORE_TIME)
            await transaction.row(_LOCK)
            if _first(await transaction.rows(_IS_BEGUN)):
                return await self._resume(transaction)
            if any([_first(await transaction.rows(kind.is_there())) for kind in KINDS]):
                await self._refuse_other_counts(
                    transaction, "the database is not empty, and its data are not the file's"
                )
                return None
            await transaction.row(_CREATE)
            await transaction.row(_BEGIN, sha256=self._summary.sha256)
            await transaction.commit()
            return 1

    async def write(self, batch: Batch, line_before: int) -> int:
        """Write the rows that are not there yet, and that all up to the last of them is done: how many were written.

        Raises:
            TransferRefused: naming the first row that is there with other values, or that the database refuses; nothing
                of the batch is written then. Also where another import of the file runs.
        """
        async with open_transaction(self._pool) as transaction:
            await transaction.row(_TAKE_TIME)
            advance = {"sha256": self._summary.sha256, "line": batch.numbers[-1], "line_before": line_before}
            if await transaction.run(_ADVANCE, **advance) != 1:
                raise TransferRefused("another import of this file runs on this database; one is enough")
            try:
                written = await _write(transaction, batch)
            except DomainError as refusal:
                reason = refusal
            else:
                await transaction.commit()
                return written
        raise await self._refusal(batch, reason)

    async def compare(self, batch: Batch) -> None:
        """See that every row is there as the file has it. Raises TransferRefused naming the first that is not."""
        row = await self._pool.row(_COMPARISONS[batch.kind.name], **batch.values())
        if row is not None and row["differing"] is not None:
            raise TransferRefused(
                f"the database is not empty, and its data are not the file's: line {row['differing']},"
                f" a row of {batch.kind.name}, is not there as it is here; import into an empty database"
            )

    async def finish(self) -> None:
        """See that what is there is what the file has and nothing else; from then on the import is done.

        Raises:
            TransferRefused: where there are more rows, or fewer: something else wrote there meanwhile.
        """
        async with open_transaction(self._pool) as transaction:
            await transaction.row(_TAKE_MORE_TIME)
            await self._refuse_other_counts(transaction, "something else wrote into the database during the import")
            await transaction.row(_DROP)
            # Else the planner would know nothing of the tables until autovacuum comes by.
            await transaction.row(_ANALYZE)
            await transaction.commit()

    async def _resume(self, transaction: Transaction) -> int:
        row = await transaction.row(_PROGRESS)
        if row is None or row["sha256"] != self._summary.sha256:
            raise TransferRefused(
                "an import of another file was begun in this database and not finished: finish it with that file, or"
                " begin anew with an empty database"
            )
        line: int = row["line"]
        return line

    async def _refuse_other_counts(self, transaction: Transaction, what: str) -> None:
        found = {kind.name: _first(await transaction.rows(kind.count())) for kind in KINDS}
        told = [
            f"{kind} {found[kind]:,} instead of {self._summary.counts.get(kind, 0):,}"
            for kind in found
            if found[kind] != self._summary.counts.get(kind, 0)
        ]
        if told:
            raise TransferRefused(f"{what} ({', '.join(told)}): import into an empty database that nothing else uses")

    async def _refusal(self, batch: Batch, reason: DomainError) -> TransferRefused:
        """Which row it was: they are written once more one by one, and none of it is kept."""
        async with open_transaction(self._pool) as transaction:
            await transaction.row(_TAKE_TIME)
            for single in batch.single():
                try:
                    await _write(transaction, single)
                except DomainError as refusal:
                    return TransferRefused(f"line {single.numbers[0]}: {batch.kind.name}: {_told(refusal)}")
        return TransferRefused(f"lines {batch.numbers[0]} to {batch.numbers[-1]}: {batch.kind.name}: {_told(reason)}")


@asynccontextmanager
async def open_target(url: str, summary: Summary) -> AsyncIterator[PostgresTransferTarget]:
    """The database at ``url``, whose schema must be the file's."""
    pool = await create_pool(url, TRANSFER_POOL)
    try:
        yield PostgresTransferTarget(pool, summary)
    finally:
        await pool.close()


async def _write(transaction: Transaction, batch: Batch) -> int:
    """How many rows were written, of those that were not there. Raises TransferRefused, DomainError."""
    (outcome,) = await transaction.rows(_WRITES[batch.kind.name], **batch.values())
    if outcome["differing"] is not None:
        raise TransferRefused(
            f"line {outcome['differing']}: {batch.kind.name}: a row with this key is there already, with other values"
        )
    if outcome["written"] + outcome["present"] != len(batch.rows):
        raise TransferRefused(
            f"lines {batch.numbers[0]} to {batch.numbers[-1]}: {batch.kind.name}: two rows have the same key"
        )
    written: int = outcome["written"]
    return written


def _first(rows: Sequence[asyncpg.Record]) -> int:
    """The one value that the statement gives."""
    value: int = rows[0][0]
    return value


def _told(refusal: DomainError) -> str:
    """In PostgreSQL's words, which name the constraint; its details are left out, for they have the row's values."""
    cause = refusal.__cause__
    return str(getattr(cause, "message", None) or refusal) if isinstance(cause, asyncpg.PostgresError) else str(refusal)
