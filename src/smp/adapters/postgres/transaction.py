"""One transaction on one connection, which the repositories of a unit of work share."""

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
    """A transaction (READ COMMITTED) that translates the errors of the driver.

    After a refused write it can no longer be committed. PostgreSQL refuses a write, or a repository does, if fewer rows
    were written than expected.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_aborted = False
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether the transaction was committed."""
        return self._is_over

    async def begin(self, begin: str) -> None:
        """Begin the transaction with this SQL. Raises StorageUnavailable."""
        with translate_driver_errors():
            await self._connection.execute(begin)

    async def rows(self, statement: Statement, context: ErrorContext = NO_CONTEXT, /, **values: object) -> list[Row]:
        """Return all rows of the statement; ``context`` has the values for a refusal."""
        with translate_driver_errors(context):
            return await statement.rows(self._connection, **values)

    async def row(self, statement: Statement, context: ErrorContext = NO_CONTEXT, /, **values: object) -> Row | None:
        """Return the first row of the statement; ``context`` has the values for a refusal."""
        with translate_driver_errors(context):
            return await statement.row(self._connection, **values)

    async def run(self, statement: Statement, context: ErrorContext = NO_CONTEXT, /, **values: object) -> int:
        """Run the statement; return how many rows it wrote. ``context`` has the values for a refusal."""
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
        """Commit the transaction.

        Raises:
            StorageIntegrityError: if a write was refused before.
            TransactionConflict: if PostgreSQL cancelled the transaction because of another one.
            StorageUnavailable: if the connection was lost before COMMIT was sent.
            OutcomeUnknown: if it was lost after that.
        """
        if self._is_aborted:
            raise StorageIntegrityError("transaction_aborted")
        self._refuse_lost()
        with translate_driver_errors(committing=True):
            tag = await self._connection.execute("COMMIT")
        # In a failed transaction PostgreSQL answers COMMIT without an error, with the tag ROLLBACK.
        if tag != _COMMITTED:
            raise StorageIntegrityError("transaction_aborted")
        self._is_over = True

    async def roll_back(self) -> None:
        """Roll the transaction back. After StorageUnavailable, the server rolls it back by itself."""
        self._refuse_lost()
        with translate_driver_errors():
            await self._connection.execute("ROLLBACK")

    def _refuse_lost(self) -> None:
        """Raise StorageUnavailable if the connection is closed, because then nothing can be sent."""
        with translate_driver_errors():
            is_lost = self._connection.is_closed()
        if is_lost:
            raise StorageUnavailable


@asynccontextmanager
async def open_transaction(pool: PostgresPool) -> AsyncIterator[Transaction]:
    """Open a transaction on a connection of the pool; without ``commit``, or after an exception, it is rolled back.

    Raises:
        StorageUnavailable: if the database does not answer.
    """
    async with pool.connection() as connection:
        transaction = Transaction(connection)
        await transaction.begin(pool.settings.begin)
        try:
            yield transaction
        except Exception as error:
            # The pool closes a lost connection, which also rolls back.
            is_lost = isinstance(error, StorageUnavailable) and not isinstance(error, TransactionConflict)
            if not transaction.is_over and not is_lost:
                with suppress(StorageUnavailable):
                    await transaction.roll_back()
            raise
        if not transaction.is_over:
            await transaction.roll_back()
