"""Child processes: started, measured through /proc, and ended by their process id."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_STOP_TIMEOUT_S: Final = 30.0
_START_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.005
_SAMPLE_S: Final = 0.05
_OK: Final = 200
_INHERITED: Final = ("PATH", "HOME", "LANG", "TMPDIR")


class Failed(Exception):
    """A process under measurement failed."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The result of a process: its output, its processor time in seconds, and its greatest size in bytes."""

    output: str
    cpu_s: float
    peak_bytes: int


def python(*arguments: str) -> list[str]:
    """Return the command that runs a module with this interpreter."""
    return [sys.executable, "-m", *arguments]


def environment(**settings: str) -> dict[str, str]:
    """Return an environment without the caller's settings."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))} | settings


@contextmanager
def running(command: list[str], settings: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the process in the block, with its output in ``log``, and stop it after the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(settings), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the process with SIGTERM, or with SIGKILL if it does not end."""
    family = [process.pid, *children(process.pid)]
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        process.wait(_STOP_TIMEOUT_S)


def run(command: list[str], settings: Mapping[str, str], log: Path) -> Finished:
    """Run the process to its end, and measure its size.

    Raises:
        Failed: if its exit code is not 0.
    """
    peak = 0
    before = _cpu_of_ended_s()
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(settings), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        )
        try:
            while process.poll() is None:
                peak = max(peak, peak_bytes(process.pid))
                time.sleep(_SAMPLE_S)
            output = process.stdout.read().decode() if process.stdout else ""
        finally:
            stop(process)
            if process.stdout:
                process.stdout.close()
    if process.returncode != 0:
        tail = log.read_text(encoding="utf-8", errors="replace")[-2_000:]
        raise Failed(f"{' '.join(command)} ended with {process.returncode}:\n{output[-2_000:]}\n{tail}")
    return Finished(output, _cpu_of_ended_s() - before, peak)


def free_port() -> int:
    """Return a free port of the loopback address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for_answer(process: subprocess.Popen[bytes], port: int, path: str) -> float:
    """Wait until the path answers with 200, and return the seconds that it took.

    Raises:
        Failed: if the process ends, or needs more than a minute.
    """
    started = time.monotonic()
    while time.monotonic() - started < _START_TIMEOUT_S:
        if process.poll() is not None:
            raise Failed(f"the server on port {port} ended with {process.returncode}")
        with suppress(OSError, HTTPException):
            if _status(port, path) == _OK:
                return time.monotonic() - started
        time.sleep(_POLL_S)
    raise Failed(f"the server on port {port} was not ready in {_START_TIMEOUT_S:.0f} s")


def worker_of(process: subprocess.Popen[bytes]) -> int:
    """Return the id of the worker process.

    Raises:
        Failed: if there is not exactly one.
    """
    workers = children(process.pid)
    if len(workers) != 1:
        raise Failed(f"expected one worker, found {workers}")
    return workers[0]


def children(pid: int) -> list[int]:
    """Return the ids of the running child processes."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields and int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def cpu_s(pids: Iterable[int]) -> float:
    """Return the processor time of these processes in seconds, with all threads; 0 for one that has ended."""
    ticks = 0
    for pid in pids:
        fields = _stat(pid)
        if fields:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def resident_bytes(pid: int) -> int:
    """Return the resident memory of the process."""
    return _status_field(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """Return the greatest resident memory so far, as the kernel counts it; 0 if the process has ended."""
    return _status_field(pid, "VmHWM")


def family_cpu_s(pid: int) -> float:
    """Return the processor time of the process and its children, running or ended, in seconds."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / _TICKS + cpu_s(children(pid))


def _cpu_of_ended_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _status(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def _stat(pid: int) -> list[str]:
    """Return the fields after the name, starting with the state; none if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _status_field(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    values = [int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")]
    return values[0] if values else 0
