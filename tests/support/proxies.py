"""A network between the program and PostgreSQL that can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

_CHUNK_BYTES: Final = 65_536
_ANSWER_S: Final = 0.1
"""How long the server may take for what the client will not hear of."""

Ends = tuple[asyncio.StreamWriter, ...]
"""The client's and the server's end of one connection."""

Interception = Callable[[bytes], bool]
"""Called with a piece of what the client sends; returns whether to cut the connection there."""


class Proxy:
    """A proxy between clients and the server of ``url``.

    ``cut_before`` is called for each piece before it is passed on, ``cut_after`` afterwards: the server has the piece
    then, and the client gets no response.
    """

    def __init__(self, url: str) -> None:
        self._target = url
        self._port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.cut_before: Interception | None = None
        self.cut_after: Interception | None = None

    @property
    def url(self) -> str:
        """Return the URL of the database through the proxy."""
        parts = urlsplit(self._target)
        user = f"{parts.username or 'postgres'}{f':{parts.password}' if parts.password else ''}"
        return urlunsplit(("postgresql", f"{user}@127.0.0.1:{self._port}", parts.path, "", ""))

    def stop_passing(self) -> None:
        """Receive everything and pass nothing on, like a network that loses all packets."""
        self._open.clear()

    def resume_passing(self) -> None:
        """Pass data on again, including those received in between."""
        self._open.set()

    async def listen(self) -> None:
        """Listen, at the same port as before if there was one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cut all connections and accept no new ones, like a server that is restarted."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def cut(self) -> None:
        """Cut all connections."""
        self._abort(tuple(self._writers))

    def _abort(self, ends: Ends) -> None:
        for writer in ends:
            writer.transport.abort()
        self._writers.difference_update(ends)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await self._connect()
        ends = (writer, server_writer)
        self._writers.update(ends)
        for work in (self._to_server(reader, ends), self._to_client(server_reader, ends)):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self._target)
        query = {name: unquote(values[0]) for name, values in parse_qs(parts.query).items()}
        host, port = parts.hostname or query["host"], parts.port or int(query.get("port", 5432))
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _to_server(self, reader: asyncio.StreamReader, ends: Ends) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(_CHUNK_BYTES):
                if self.cut_before is not None and self.cut_before(data):
                    break
                await self._open.wait()
                ends[1].write(data)
                await ends[1].drain()
                if self.cut_after is not None and self.cut_after(data):
                    # The answer shows that the server is done; it goes no further.
                    self._open.clear()
                    await asyncio.sleep(_ANSWER_S)
                    self._abort(ends)
                    self._open.set()
        self._abort(ends)

    async def _to_client(self, reader: asyncio.StreamReader, ends: Ends) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(_CHUNK_BYTES):
                await self._open.wait()
                ends[0].write(data)
                await ends[0].drain()
        self._abort(ends)


@asynccontextmanager
async def proxy_to(url: str) -> AsyncIterator[Proxy]:
    """Run a proxy during the block."""
    proxy = Proxy(url)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()
