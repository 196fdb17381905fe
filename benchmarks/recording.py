"""A pool that records every statement of the PostgreSQL adapter, with its values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import Connection, Row


@dataclass(frozen=True, slots=True)
class Sent:
    """One statement. A prepared statement is one round trip."""

    sql: str
    values: tuple[object, ...]


@dataclass(slots=True)
class Journal:
    """All statements, in order."""

    sent: list[Sent] = field(default_factory=list)

    def take(self) -> list[Sent]:
        """Return the statements since the last call."""
        taken, self.sent = self.sent, []
        return taken


class RecordingPool(PostgresPool):
    """A pool that records the statements of another pool in a journal."""

    def __init__(self, pool: PostgresPool, journal: Journal) -> None:
        self._recorded = pool
        self._journal = journal

    @asynccontextmanager
    async def connection(self, *, is_urgent: bool = False) -> AsyncIterator[Connection]:
        """Yield a connection that records its statements."""
        async with self._recorded.connection(is_urgent=is_urgent) as connection:
            yield _RecordingConnection(connection, self._journal)

    async def close(self) -> None:
        """Close the other pool."""
        await self._recorded.close()


class _RecordingConnection(Connection):
    def __init__(self, connection: Connection, journal: Journal) -> None:
        self._connection = connection
        self._journal = journal

    async def fetch(self, query: str, /, *args: object, timeout: float | None = None) -> list[Row]:  # noqa: ASYNC109 - the driver's
        self._journal.sent.append(Sent(query, args))
        return await self._connection.fetch(query, *args, timeout=timeout)

    async def fetchrow(self, query: str, /, *args: object, timeout: float | None = None) -> Row | None:  # noqa: ASYNC109 - …
        self._journal.sent.append(Sent(query, args))
        return await self._connection.fetchrow(query, *args, timeout=timeout)

    async def execute(self, query: str, /, *args: object, timeout: float | None = None) -> str:  # noqa: ASYNC109 - …
        self._journal.sent.append(Sent(query, args))
        return await self._connection.execute(query, *args, timeout=timeout)

    async def copy_records_to_table(
        self,
        table_name: str,
        /,
        *,
        records: Iterable[Sequence[object]],
        columns: Sequence[str],
        timeout: float,  # noqa: ASYNC109 - …
    ) -> str:
        return await self._connection.copy_records_to_table(
            table_name, records=records, columns=columns, timeout=timeout
        )

    def is_closed(self) -> bool:
        return self._connection.is_closed()

    def is_in_transaction(self) -> bool:
        return self._connection.is_in_transaction()

    async def close(self) -> None:
        await self._connection.close()

    def terminate(self) -> None:
        self._connection.terminate()
