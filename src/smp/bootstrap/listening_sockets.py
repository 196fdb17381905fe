"""The sockets on which a worker listens."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from smp.bootstrap.background import in_background

UNREAD_TIMEOUT_S: Final = 30
"""How long a client may leave data unread before the kernel closes its connection."""

_DESCRIPTORS: Final = Path("/proc/self/fd")
_LOOK_EVERY_S: Final = 0.05


def closing_unread_connections(port: int) -> AbstractAsyncContextManager[None]:
    """Make the kernel close connections whose clients do not read (on Linux; other systems have no such option).

    Granian has no such setting and opens its socket after the application has started, so this waits for the socket.
    A connection inherits the option from the socket that accepted it.
    """
    return in_background(lambda: _set_timeout(port), "listening socket")


async def _set_timeout(port: int) -> None:
    if not _DESCRIPTORS.exists():
        return
    while not (found := list(_listening_sockets(port))):  # noqa: ASYNC110 - no event reports it
        await asyncio.sleep(_LOOK_EVERY_S)
    for listening in found:
        with listening:
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_TIMEOUT_S * 1_000)


def _listening_sockets(port: int) -> Iterator[socket.socket]:
    """Yield the sockets on which this process listens on the TCP port, as duplicates to be closed by the caller."""
    for descriptor in _DESCRIPTORS.iterdir():
        try:
            found = socket.socket(fileno=os.dup(int(descriptor.name)))
        except OSError:  # closed in the meantime, or no socket
            continue
        if _listens(found, port):
            yield found
        else:
            found.close()


def _listens(found: socket.socket, port: int) -> bool:
    return (
        found.family in {socket.AF_INET, socket.AF_INET6}
        and found.type is socket.SOCK_STREAM
        and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0
        and found.getsockname()[1] == port
    )
