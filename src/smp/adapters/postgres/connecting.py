"""Opening and closing the connections of a pool."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NewType

import asyncpg

from smp.adapters.postgres.host_selector import HostSelector
from smp.adapters.postgres.statements import Connection, set_codecs

ConnectionClass = NewType("ConnectionClass", type)
"""The class of the connections of a pool: the driver's, or a subclass that does more with each statement."""

PLAIN_CONNECTIONS: Final = ConnectionClass(asyncpg.Connection)

_PREPARED_STATEMENTS: Final = 500
_CANCEL_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Connector:
    """Opens connections with the limits and the settings of a pool."""

    hosts: HostSelector
    connection_class: ConnectionClass
    connect_timeout_s: float
    command_timeout_s: float
    server_settings: Mapping[str, str]

    async def connect(self) -> Connection:
        """Open a connection. Raises the errors of the driver."""
        connection = await self.hosts.connect(
            self.connect_timeout_s,
            connection_class=self.connection_class,
            command_timeout=self.command_timeout_s,
            statement_cache_size=_PREPARED_STATEMENTS,
            server_settings=dict(self.server_settings),
        )
        try:
            await set_codecs(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection


async def close_gracefully(connection: Connection) -> None:
    """Cancel what still runs on the connection, and close it; at once if that takes too long."""
    try:
        async with asyncio.timeout(_CANCEL_TIMEOUT_S):
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        connection.terminate()
