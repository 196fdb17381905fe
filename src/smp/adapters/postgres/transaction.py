"""One transaction on one connection: what the repositories of a unit of work share."""

from __future__ import annotations

from typing import Final

from smp.adapters.postgres.errors import NO_FACTS, Facts, Translated
from smp.adapters.postgres.statements import Connection, Row, Statement
from smp.application.errors import StorageUnavailable
from smp.domain.errors import DomainError, RejectedByStorage

_COMMITTED: Final = "COMMIT"


class Transaction:
    """Runs statements inside one transaction (READ COMMITTED) and translates what the driver raises.

    Where a write was refused nothing of the transaction can be committed any more, be it PostgreSQL that refused it or
    a repository that found fewer rows written than it should have.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_doomed = False

    async def begin(self) -> None:
        """Open it. Raises StorageUnavailable."""
        with Translated():
            await self._connection.execute("BEGIN")

    async def rows(self, statement: Statement, facts: Facts = NO_FACTS, /, **values: object) -> list[Row]:
        """All rows that the statement gives; ``facts`` are what a refusal would have to name."""
        with Translated(facts):
            return await statement.rows(self._connection, **values)

    async def row(self, statement: Statement, facts: Facts = NO_FACTS, /, **values: object) -> Row | None:
        """The first row that the statement gives; ``facts`` are what a refusal would have to name."""
        with Translated(facts):
            return await statement.row(self._connection, **values)

    async def run(self, statement: Statement, facts: Facts = NO_FACTS, /, **values: object) -> int:
        """How many rows the statement wrote; ``facts`` are what a refusal would have to name."""
        with Translated(facts):
            return await statement.run(self._connection, **values)

    def refused(self, refusal: DomainError) -> DomainError:
        """``refusal``, to be raised for a write that did not find what it was to change; nothing can be committed now."""
        self._is_doomed = True
        return refusal

    async def commit(self) -> None:
        """Make it last.

        Raises:
            RejectedByStorage: where a write was refused before.
            TransactionConflict: where PostgreSQL gave the transaction up.
            StorageUnavailable: where the connection was lost before COMMIT was sent.
            OutcomeUnknown: where it was lost after.
        """
        if self._is_doomed:
            raise RejectedByStorage("transaction_aborted")
        if self._connection.is_closed():
            raise StorageUnavailable
        with Translated(committing=True):
            tag = await self._connection.execute("COMMIT")
        # PostgreSQL answers COMMIT in a failed transaction politely, with the tag of what it did instead.
        if tag != _COMMITTED:
            raise RejectedByStorage("transaction_aborted")

    async def roll_back(self) -> None:
        """Undo it. Raises StorageUnavailable, and then the server has undone it, or will."""
        if self._connection.is_closed():
            raise StorageUnavailable
        with Translated():
            await self._connection.execute("ROLLBACK")
