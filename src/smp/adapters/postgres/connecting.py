"""Opening and closing the connections of a pool."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final, NewType

import asyncpg

from smp.adapters.postgres.host_selector import HostSelector
from smp.adapters.postgres.statements import Connection, set_codecs

ConnectionClass = NewType("ConnectionClass", type)
"""The class of the connections of a pool: the driver's, or a subclass that does more with each statement."""

PLAIN_CONNECTIONS: Final = ConnectionClass(asyncpg.Connection)

_PREPARED_STATEMENTS: Final = 500
_CANCEL_TIMEOUT_S: Final = 1.0


class UnsuitableDatabase(asyncpg.InterfaceError):
    """A database that answers, but cannot be used; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Connector:
    """Opens connections with the limits and the settings of a pool.

    Without ``prepares``, nothing that is sent outlives a transaction, as a pooler in transaction mode requires.
    """

    hosts: HostSelector
    connection_class: ConnectionClass
    connect_timeout_s: float
    command_timeout_s: float
    server_settings: Mapping[str, str]
    prepares: bool

    async def connect(self) -> Connection:
        """Open a connection. Raises the errors of the driver, and UnsuitableDatabase."""
        connection = await self.hosts.connect(
            self.connect_timeout_s,
            connection_class=self.connection_class,
            command_timeout=self.command_timeout_s,
            statement_cache_size=_PREPARED_STATEMENTS if self.prepares else 0,
            server_settings=dict(self.server_settings),
        )
        try:
            require_utf8(connection)
            async with nullcontext() if self.prepares else connection.transaction():
                await set_codecs(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection


def require_utf8(connection: asyncpg.Connection[Any]) -> None:
    """Raise UnsuitableDatabase if the database does not store text as UTF-8."""
    encoding = getattr(connection.get_settings(), "server_encoding", "UTF8")
    if encoding != "UTF8":
        raise UnsuitableDatabase(
            f"the database has the encoding {encoding}, and SMP needs UTF8: create another one with"
            " CREATE DATABASE smp ENCODING 'UTF8' TEMPLATE template0"
        )


async def close_gracefully(connection: Connection) -> None:
    """Cancel what still runs on the connection, and close it; at once if that takes too long."""
    try:
        async with asyncio.timeout(_CANCEL_TIMEOUT_S):
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        connection.terminate()
