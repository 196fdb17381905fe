"""A PostgreSQL server that answers every query with its place in the write-ahead log, without a network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.pool_settings import PoolSettings


class FakeServer:
    """A server, with the connections that were opened to it."""

    def __init__(self, place: int = 0) -> None:
        self.place = place
        self.is_away = False
        self.opened: list[FakeConnection] = []

    def pool(self, settings: PoolSettings) -> PostgresPool:
        """Return a pool of connections to this server."""
        return PostgresPool(self._connect, settings)

    async def _connect(self) -> FakeConnection:
        if self.is_away:
            raise ConnectionRefusedError
        connection = FakeConnection(self)
        self.opened.append(connection)
        return connection


class FakeConnection:
    """A connection to a :class:`FakeServer`."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self._is_closed = False

    async def fetch(self, _query: str, /, *_args: object, timeout: float | None = None) -> list[Any]:  # noqa: ASYNC109 - the driver's
        """Return one row with the server's place."""
        return [(self._server.place,)]

    async def fetchrow(self, _query: str, /, *_args: object, timeout: float | None = None) -> Any:  # noqa: ANN401, ASYNC109 - the driver's
        """Return a row with the server's place."""
        return (self._server.place,)

    async def execute(self, query: str, /, *_args: object, timeout: float | None = None) -> str:  # noqa: ASYNC109 - the driver's
        """Return the command's tag."""
        return query

    async def copy_records_to_table(
        self,
        table_name: str,
        /,
        *,
        records: Iterable[Sequence[object]],
        columns: Sequence[str],
        timeout: float,  # noqa: ASYNC109 - the driver's
    ) -> str:
        """Return the command's tag."""
        return f"COPY {table_name}"

    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._is_closed

    def is_in_transaction(self) -> bool:
        """No transaction is ever open."""
        return False

    async def close(self) -> None:
        """Close it."""
        self._is_closed = True

    def terminate(self) -> None:
        """Close it."""
        self._is_closed = True
