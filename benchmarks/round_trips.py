"""A proxy on a Unix socket that reads PostgreSQL's protocol and counts round trips.

In PostgreSQL's protocol a client waits for the server after a Query, Sync or Flush message, and nowhere else.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

_WAITED_FOR: Final = frozenset(b"QSH")
_SOCKET: Final = ".s.PGSQL.5432"
_LENGTH_BYTES: Final = 4
_CHUNK_BYTES: Final = 65_536


@dataclass(slots=True)
class RoundTrips:
    """The number of round trips, and the folder of the proxy's socket."""

    folder: Path
    count: int = 0

    def url(self, database: str) -> str:
        """Return the URL of the database of this name through the proxy."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.folder))}&port=5432"


@asynccontextmanager
async def counted(socket_folder: str) -> AsyncIterator[RoundTrips]:
    """Run a proxy to the server whose socket is in this folder."""
    with tempfile.TemporaryDirectory(prefix="smp-bench-") as folder:
        trips = RoundTrips(Path(folder))
        handlers: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            up_reader, up_writer = await asyncio.open_unix_connection(f"{socket_folder}/{_SOCKET}")
            both = {
                asyncio.create_task(_requests(reader, up_writer, trips)),
                asyncio.create_task(_answers(up_reader, writer)),
            }
            handlers.update(both)
            # If one side closes its connection, the other is closed too.
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for end in (writer, up_writer):
                end.close()

        listener = await asyncio.start_unix_server(serve, str(trips.folder / _SOCKET))
        try:
            yield trips
        finally:
            listener.close()
            for task in handlers:
                task.cancel()
            await asyncio.gather(*handlers, return_exceptions=True)


async def _requests(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, trips: RoundTrips) -> None:
    """Forward the client's messages: the startup message, which has no type, then typed messages."""
    with suppress(asyncio.IncompleteReadError, OSError):
        length = await reader.readexactly(_LENGTH_BYTES)
        writer.write(length + await reader.readexactly(int.from_bytes(length) - _LENGTH_BYTES))
        while True:
            head = await reader.readexactly(1 + _LENGTH_BYTES)
            trips.count += head[0] in _WAITED_FOR
            writer.write(head + await reader.readexactly(int.from_bytes(head[1:]) - _LENGTH_BYTES))


async def _answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
