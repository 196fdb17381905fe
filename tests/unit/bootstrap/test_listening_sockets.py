"""The kernel closes connections whose clients do not read."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from smp.bootstrap.listening_sockets import UNREAD_TIMEOUT_S, closing_unread_connections

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has TCP_USER_TIMEOUT")


def timeout_of(connection: socket.socket) -> int:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


async def test_connections_inherit_a_timeout_for_unread_data_also_if_listening_begins_later() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        async with closing_unread_connections(listening.getsockname()[1]), asyncio.timeout(30):
            listening.listen()
            while not timeout_of(listening):
                await asyncio.sleep(0.01)
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted:
                assert timeout_of(accepted) == UNREAD_TIMEOUT_S * 1_000


async def test_a_process_that_stops_before_it_listens_does_not_wait() -> None:
    async with asyncio.timeout(30):
        async with closing_unread_connections(1):
            await asyncio.sleep(0)
