"""The time until ``smp serve`` is ready, and the memory of a worker."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from benchmarks import load, processes
from benchmarks.bench import Bench
from benchmarks.figures import MIB, Figure, Section, Unit, at_most, middle
from benchmarks.server import FOLDER

NAME: Final = "startup"

_READY_S: Final = 3
_MEMORY_MIB: Final = 150
_REGISTERED: Final = 8
_OK: Final = 200
_PASSWORD: Final = "a long enough password"  # noqa: S105 - for accounts that exist only in the benchmark
_PATHS: Final = ("/openapi.json", "/docs", "/metrics", "/v1/plans", "/v1/me", "/v1/me/subscriptions", "/v1/me/access")

_HOW: Final = """
`smp serve` with an embedded PostgreSQL and no other settings, from the start of Python to the first 200 of
`/health/ready`: first cold, with an empty folder (initdb, migrations, the first administrator), then warm, the median
of {starts} starts. The memory of the worker is its resident size when it is ready, and after it has done everything
that needs memory: registrations and sign-ins (Argon2id, the list of common passwords), the OpenAPI document and its
page, metrics, lists, and access checks at full load.
"""


@dataclass(frozen=True, slots=True)
class _Start:
    """One start: seconds until ready and until stopped, and the worker's memory when ready and after work, in bytes."""

    ready_s: float
    stopped_s: float
    idle_bytes: int
    worked_bytes: int


async def run(bench: Bench) -> Section:
    """Measure start, stop and memory."""
    with tempfile.TemporaryDirectory(prefix="start-", dir=FOLDER) as folder:
        bench.progress.step("cold start")
        cold = await asyncio.to_thread(_start, Path(folder), 0)
        warm = []
        for number in range(bench.scale.starts):
            bench.progress.step(f"warm start {number + 1} of {bench.scale.starts}")
            last = number + 1 == bench.scale.starts
            warm.append(await asyncio.to_thread(_start, Path(folder), bench.scale.round_s if last else 0))
    figures = (
        Figure("warm start to ready", middle([one.ready_s for one in warm]), Unit.SECONDS, at_most(_READY_S)),
        Figure("cold start to ready", cold.ready_s, Unit.SECONDS),
        Figure("stop", middle([one.stopped_s for one in warm]), Unit.SECONDS),
        Figure("worker: memory when ready", middle([one.idle_bytes for one in warm]) / MIB, Unit.MIBIBYTES),
        Figure("worker: memory after work", warm[-1].worked_bytes / MIB, Unit.MIBIBYTES, at_most(_MEMORY_MIB)),
    )
    return Section(NAME, "Start and memory", _HOW.format(starts=bench.scale.starts), figures)


def _start(folder: Path, work_s: float) -> _Start:
    port = processes.free_port()
    settings = processes.environment(SMP_DATA_DIR=str(folder), SMP_PORT=str(port), SMP_LOG_LEVEL="warning")
    with processes.running(processes.python("smp.bootstrap", "serve"), settings, FOLDER / "start.log") as process:
        ready_s = processes.wait_for_answer(process, port, "/health/ready")
        worker = processes.worker_of(process)
        idle = processes.resident_bytes(worker)
        worked = _work(port, worker, work_s) if work_s else 0
        stopping = time.monotonic()
        processes.stop(process)
    return _Start(ready_s, time.monotonic() - stopping, idle, worked)


def _work(port: int, worker: int, seconds: float) -> int:
    """Send requests of every kind, and return the worker's memory after them."""
    cookies = [_register(port, number) for number in range(_REGISTERED)]
    for path in _PATHS:
        _ask(port, "GET", path, cookies[0])
    load.ask(port, "/v1/me/access/export", cookies, seconds)
    return processes.resident_bytes(worker)


def _register(port: int, number: int) -> str:
    """Register and sign in a new account, and return the session's cookie."""
    account = json.dumps({"email": f"u{number}@bench.example", "password": f"{_PASSWORD} {number}"})
    _ask(port, "POST", "/v1/auth/register", "", account)
    return _ask(port, "POST", "/v1/auth/login", "", account).partition(";")[0]


def _ask(port: int, method: str, path: str, cookie: str, body: str | None = None) -> str:
    """Send a request, and return the cookie that the response sets, or an empty text.

    Raises:
        Failed: if the status is not a success.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Cookie": cookie, "Content-Type": "application/json", "Sec-Fetch-Site": "none"}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    if answer.status // 100 != _OK // 100:
        raise processes.Failed(f"{method} {path} answered {answer.status}")
    return answer.getheader("set-cookie", "")
