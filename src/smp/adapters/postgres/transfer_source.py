"""Reading all data as they are at one instant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from smp.adapters.postgres.pool import PoolSettings, create_pool
from smp.adapters.postgres.statements import sql
from smp.adapters.postgres.transaction import Transaction, open_transaction
from smp.adapters.postgres.transfer_kinds import COUNT_TIMEOUT_S, KINDS, Kind
from smp.adapters.postgres.transfer_rows import lines_of

PAGE_ROWS: Final = 2_000
"""Rows that are in memory at once: some megabytes."""

TRANSFER_POOL: Final = PoolSettings(
    size=1, application_name="smp transfer", connect_timeout_s=10, acquire_timeout_s=12, command_timeout_s=30
)

_SNAPSHOT: Final = sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
_TAKE_TIME: Final = sql(f"SET LOCAL statement_timeout = '{COUNT_TIMEOUT_S:.0f}s'")
# Whoever takes the rows may be slow: a pipe, a disk that is far away.
_BE_PATIENT: Final = sql("SET LOCAL idle_in_transaction_session_timeout = '15min'")


class PostgresTransferSource:
    """One snapshot: whatever is written meanwhile, all that is read here is as of the same instant."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def count(self) -> int:
        """How many rows there are, of all kinds. Raises StorageUnavailable."""
        total = 0
        for kind in KINDS:
            row = await self._transaction.row(kind.count())
            total += 0 if row is None else row[0]
        return total

    async def lines(self) -> AsyncIterator[tuple[str, Sequence[bytes]]]:
        """Every kind by its name with its rows as lines, in pages; one without rows has one page without lines.

        Raises StorageUnavailable.
        """
        for kind in KINDS:
            async for page in self._pages(kind):
                yield kind.name, page

    async def _pages(self, kind: Kind) -> AsyncIterator[Sequence[bytes]]:
        rows = await self._transaction.rows(kind.first_page(), limit=PAGE_ROWS)
        yield lines_of(kind, rows)
        next_page = kind.next_page()
        while len(rows) == PAGE_ROWS:
            after = {f"after_{key}": rows[-1][key] for key in kind.key}
            rows = await self._transaction.rows(next_page, limit=PAGE_ROWS, **after)
            yield lines_of(kind, rows)


@asynccontextmanager
async def open_source(url: str) -> AsyncIterator[PostgresTransferSource]:
    """The data at ``url`` as they are now. Raises StorageUnavailable."""
    pool = await create_pool(url, TRANSFER_POOL)
    try:
        async with open_transaction(pool) as transaction:
            for statement in (_SNAPSHOT, _TAKE_TIME, _BE_PATIENT):
                await transaction.row(statement)
            yield PostgresTransferSource(transaction)
    finally:
        await pool.close()
