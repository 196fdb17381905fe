"""One transaction on one connection: what the repositories of a unit of work share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from smp.adapters.postgres.errors import NO_CONTEXT, ErrorContext, translate_driver_errors
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import Connection, Row, Statement
from smp.application.errors import StorageUnavailable, TransactionConflict
from smp.domain.errors import StorageIntegrityError

_COMMITTED: Final = "COMMIT"


class Transaction:
    """Runs statements inside one transaction (READ COMMITTED) and translates what the driver raises.

    Where a write was refused nothing of the transaction can be committed any more, be it PostgreSQL that refused it or
    a repository that found fewer rows written than it should have.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_aborted = False
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether it was committed."""
        return self._is_over

    async def begin(self) -> None:
        """Open it. Raises StorageUnavailable."""
        with translate_driver_errors():
            await self._connection.execute("BEGIN")

    async def rows(self, statement: Statement, context: ErrorContext = NO_CONTEXT, /, **values: object) -> list[Row]:
        """All rows that the statement gives; ``context`` are what a refusal would have to name."""
        with translate_driver_errors(context):
            return await statement.rows(self._connection, **values)

    async def row(self, statement: Statement, context: ErrorContext = NO_CONTEXT, /, **values: object) -> Row | None:
        """The first row that the statement gives; ``context`` are what a refusal would have to name."""
        with translate_driver_errors(context):
            return await statement.row(self._connection, **values)

    async def run(self, statement: Statement, context: ErrorContext = NO_CONTEXT, /, **values: object) -> int:
        """How many rows the statement wrote; ``context`` are what a refusal would have to name."""
        with translate_driver_errors(context):
            return await statement.run(self._connection, **values)

    async def copy(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]], timeout_s: float
    ) -> None:
        """Write many rows by COPY."""
        with translate_driver_errors():
            await self._connection.copy_records_to_table(table, records=rows, columns=columns, timeout=timeout_s)

    def mark_aborted(self) -> None:
        """Refuse every later commit: a write did not find the row that it was to change."""
        self._is_aborted = True

    async def commit(self) -> None:
        """Make it last.

        Raises:
            StorageIntegrityError: where a write was refused before.
            TransactionConflict: where PostgreSQL gave the transaction up.
            StorageUnavailable: where the connection was lost before COMMIT was sent.
            OutcomeUnknown: where it was lost after.
        """
        if self._is_aborted:
            raise StorageIntegrityError("transaction_aborted")
        self._refuse_lost()
        with translate_driver_errors(committing=True):
            tag = await self._connection.execute("COMMIT")
        # PostgreSQL answers COMMIT in a failed transaction politely, with the tag of what it did instead.
        if tag != _COMMITTED:
            raise StorageIntegrityError("transaction_aborted")
        self._is_over = True

    async def roll_back(self) -> None:
        """Undo it. Raises StorageUnavailable, and then the server has undone it, or will."""
        self._refuse_lost()
        with translate_driver_errors():
            await self._connection.execute("ROLLBACK")

    def _refuse_lost(self) -> None:
        """Nothing can be sent on a connection that is known to be lost. Raises StorageUnavailable."""
        with translate_driver_errors():
            is_lost = self._connection.is_closed()
        if is_lost:
            raise StorageUnavailable


@asynccontextmanager
async def open_transaction(pool: PostgresPool) -> AsyncIterator[Transaction]:
    """A transaction on a connection of the pool; left without ``commit``, or by any exception, it never was.

    Raises:
        StorageUnavailable: where the database does not answer.
    """
    async with pool.connection() as connection:
        transaction = Transaction(connection)
        await transaction.begin()
        try:
            yield transaction
        except Exception as error:
            # A connection that was lost is thrown away by the pool, which undoes as well.
            is_lost = isinstance(error, StorageUnavailable) and not isinstance(error, TransactionConflict)
            if not transaction.is_over and not is_lost:
                with suppress(StorageUnavailable):
                    await transaction.roll_back()
            raise
        if not transaction.is_over:
            await transaction.roll_back()
