"""Many clients that are idle, stuck or do not read leave the service to the others."""

from __future__ import annotations

import resource
import socket
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Final

import psutil
import pytest

from smp.adapters.http.middleware.limits import BODY_BYTES_MAX
from tests.e2e.conftest import PASSWORD
from tests.support.clients import Browser
from tests.support.processes import Service, serving

IDLE: Final = 2_000
STUCK: Final = 256
UNREAD: Final = 256
FILES: Final = IDLE + STUCK + UNREAD + 500

HONEST: Final = 100
MEDIAN_MS: Final = 250.0
"""Generous: it is a few milliseconds on a machine that does nothing else."""

MEMORY_MIB: Final = 300


@pytest.fixture(scope="module", autouse=True)
def _open_files() -> Iterator[None]:
    """Allow this process as many open files as it needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), max(hard, FILES)))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def clients(port: int, count: int, request: bytes, buffer_bytes: int | None = None) -> Iterator[list[socket.socket]]:
    """Open connections that send this and then do nothing."""
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            connection = stack.enter_context(socket.socket())
            if buffer_bytes is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            connection.settimeout(30)
            connection.connect(("127.0.0.1", port))
            connection.sendall(request)
            opened.append(connection)
        yield opened


def request(method: str, path: str, *headers: str) -> bytes:
    """Return a request that may go on with more headers or a body."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *headers, ""]).encode()


def memory_mib(service: Service) -> float:
    """Return the memory of all processes of the service; pages that they share count once."""
    processes = [service.process.pid, *service.workers()]
    return sum(psutil.Process(pid).memory_full_info().pss for pid in processes) / 2**20


def test_idle_stuck_and_unread_connections_do_not_delay_others(
    environ: dict[str, str], folder: Path, database_url: str
) -> None:
    with serving({**environ, "SMP_DATABASE_URL": database_url}, folder) as service, ExitStack() as stack:
        port = service.port
        with Browser(port) as browser:
            token = browser.log_in("root@example.com", PASSWORD).headers["set-cookie"]
        idle = stack.enter_context(clients(port, IDLE, request("GET", "/health/live") + b"\r\n"))
        half = f"content-length: {BODY_BYTES_MAX}"
        body = request("POST", "/v1/auth/login", "content-type: application/json", half) + b'\r\n{"' + b"x" * 30_000
        stack.enter_context(clients(port, STUCK // 2, body))
        stack.enter_context(clients(port, STUCK // 2, request("GET", "/v1/me")))
        page = request("GET", "/docs/swagger-ui-bundle.js") + b"\r\n"
        unread = stack.enter_context(clients(port, UNREAD, page, buffer_bytes=4_096))
        assert all(connection.recv(15) == b"HTTP/1.1 200 OK" for connection in (*idle, *unread))
        elapsed_ms = []
        for _ in range(HONEST):
            with Browser(port, token.partition(";")[0].partition("=")[2]) as browser:
                started = perf_counter()
                assert browser.ask("GET", "/v1/me/access/seats").status == 200
                elapsed_ms.append((perf_counter() - started) * 1_000)
        assert statistics.median(elapsed_ms) < MEDIAN_MS
        assert memory_mib(service) < MEMORY_MIB


def test_a_client_that_sends_too_much_can_read_why_it_is_refused(
    environ: dict[str, str], folder: Path, database_url: str
) -> None:
    with serving({**environ, "SMP_DATABASE_URL": database_url}, folder) as service:
        for size in (BODY_BYTES_MAX + 1, 1_000_000, 10_000_000):
            head = request("POST", "/v1/auth/login", "content-type: application/json", f"content-length: {size}")
            with clients(service.port, 3, head + b"\r\n") as opened:
                for connection in opened:
                    connection.sendall(b" " * size)
                    assert connection.recv(12) == b"HTTP/1.1 413"


def test_an_idle_connection_is_closed_after_the_time_of_the_setting(
    environ: dict[str, str], folder: Path, database_url: str
) -> None:
    settings = {"SMP_DATABASE_URL": database_url, "SMP_KEEP_ALIVE_S": "5"}
    with (
        serving({**environ, **settings}, folder) as service,
        clients(service.port, 1, request("GET", "/health/live") + b"\r\n") as (connection,),
    ):
        began = perf_counter()
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        assert connection.recv(4096) == b"", "the default of 75 seconds would exceed the time limit of the socket"
        assert perf_counter() - began > 4
