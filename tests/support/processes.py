"""Real processes of the program: started at free ports, and always ended by their process ids."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

import psutil

from tests.support.clients import Browser

ROOT: Final = Path(__file__).parents[2]
COMMAND: Final = (sys.executable, "-W", "error", "-m", "smp.bootstrap")
START_S: Final = 60.0
STOP_S: Final = 40.0
SOON_S: Final = 20.0

# Below the ports that the kernel gives to clients: one of those could take, or even connect to itself at, the port of a
# server that is just being started again.
_PORTS: Final = range(12_000, 30_000)
_ports_tried: Final = count(os.getpid() * 89)


def environment(bytecode: Path, **settings: str) -> dict[str, str]:
    """Return the environment of this process with these settings only; compiled modules are kept in ``bytecode``."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SMP_", "OTEL_")) and name != "PYTHONDONTWRITEBYTECODE"
    }
    ours = {"PYTHONPATH": str(ROOT / "src"), "PYTHONPYCACHEPREFIX": str(bytecode), "COLUMNS": "200"}
    return {**inherited, **ours, **settings}


def run(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the program to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def begin(environ: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start a command of the program; the caller must end it."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )


class Service:
    """``smp serve`` at a free port of this machine; ``log`` is the file of its output."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self.port = free_port()
        self.environ = {**environ, "SMP_PORT": str(self.port)}
        self.log = folder / f"service-{self.port}.log"
        self.process = self._launch()

    def start_again(self) -> None:
        """Start the service again at the same port."""
        self.process = self._launch()

    def is_ready(self) -> bool:
        """Return whether the service is ready."""
        try:
            with Browser(self.port, timeout_s=5) as browser:
                return browser.ask("GET", "/health/ready").status == 200
        except OSError:
            return False

    def wait_until_ready(self) -> None:
        """Wait until the service is ready; fail if it has ended."""
        wait_until(lambda: self.is_ready() or self.process.poll() is not None, START_S)
        assert self.process.poll() is None, self.log.read_text()

    def stop(self, signal_: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal, wait for the end, and return the exit code."""
        self.process.send_signal(signal_)
        return self.process.wait(STOP_S)

    def workers(self) -> Sequence[int]:
        """Return the processes that answer requests."""
        return children(self.process.pid)

    def kill(self) -> None:
        """Kill all processes of the service with ``kill -9``."""
        workers = self.workers()
        self.process.kill()
        for worker in workers:
            kill(worker)
        self.process.wait(STOP_S)
        wait_until(lambda: not any(is_alive(worker) for worker in workers))

    def _launch(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*COMMAND, "serve"], env=self.environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )


@contextmanager
def serving(environ: Mapping[str, str], folder: Path) -> Iterator[Service]:
    """Run a ready service during the block."""
    with starting(environ, folder) as service:
        service.wait_until_ready()
        yield service


@asynccontextmanager
async def serving_async(environ: Mapping[str, str], folder: Path) -> AsyncIterator[Service]:
    """Run a ready service during the block, for a test whose event loop must run while the service starts."""
    with starting(environ, folder) as service:
        await asyncio.to_thread(service.wait_until_ready)
        yield service


@contextmanager
def starting(environ: Mapping[str, str], folder: Path) -> Iterator[Service]:
    """Start a service, and end it after the block."""
    service = Service(environ, folder)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.kill()


@contextmanager
def serving_each(environs: Sequence[Mapping[str, str]], folder: Path) -> Iterator[Sequence[Service]]:
    """Start a service for each environment; all are ready in the block."""
    with ExitStack() as stack:
        services = [stack.enter_context(starting(environ, folder)) for environ in environs]
        for service in services:
            service.wait_until_ready()
        yield services


@contextmanager
def short_folder() -> Iterator[Path]:
    """Return a folder with a short path, because of the server's socket; an embedded server in it is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="smp-", dir="/tmp"))
    try:
        yield folder
    finally:
        if (pid := postmaster(folder)) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            wait_until(lambda: not is_alive(pid))
        shutil.rmtree(folder, ignore_errors=True)


def postmaster(data_dir: Path) -> int | None:
    """Return the first process of the embedded server, if ``data_dir`` is ``SMP_DATA_DIR``."""
    try:
        return int((data_dir / "postgres" / "db" / "postmaster.pid").read_text().split()[0])
    except (FileNotFoundError, IndexError):
        return None


def children(pid: int) -> Sequence[int]:
    """Return the children of this process."""
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.NoSuchProcess:
        return []


def is_alive(pid: int) -> bool:
    """Return whether the process exists and is not a zombie."""
    try:
        return str(psutil.Process(pid).status()) != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(pid: int) -> None:
    """Kill the process with ``kill -9`` if it still runs."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait_until(happened: Callable[[], bool], limit_s: float = SOON_S) -> None:
    """Wait until the condition is true; fail if it takes too long."""
    deadline = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def free_port() -> int:
    """Return a port at which no program listens and which this process has not returned before."""
    for tried in _ports_tried:
        port = _PORTS[tried % len(_PORTS)]
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("unreachable: the count has no end")
