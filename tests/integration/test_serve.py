"""``smp serve`` with real processes: start, requests, stop, crashes, and messages if it cannot start."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from smp.adapters.postgres import migrator

ROOT: Final = Path(__file__).parents[2]
COMMAND: Final = (sys.executable, "-W", "error", "-m", "smp.bootstrap")
START_S: Final = 45.0
SOON_S: Final = 15.0
PASSWORD: Final = "correct horse battery staple"


class Service:
    """A running ``smp serve``; ``out`` and ``err`` are the files of its output."""

    def __init__(self, environ: dict[str, str], folder: Path) -> None:
        self.port = free_port()
        self.environ = {**environ, "SMP_PORT": "1"}
        self.out, self.err = folder / "out", folder / "err"
        with self.out.open("w") as out, self.err.open("w") as err:
            command = [*COMMAND, "serve", "--port", str(self.port)]
            self.process = subprocess.Popen(command, env=self.environ, stdout=out, stderr=err)

    def ask(self, method: str, path: str, body: object = None, port: int | None = None) -> tuple[int, bytes]:
        """Send one request on a new connection; return the status and the body."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(
            f"http://127.0.0.1:{port or self.port}{path}", data, {"content-type": "application/json"}, method=method
        )
        try:
            with urlopen(request, timeout=10) as answer:  # noqa: S310 - our own address
                return answer.status, answer.read()
        except HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read()

    def is_ready(self) -> bool:
        """Return whether the service is ready."""
        try:
            return self.ask("GET", "/health/ready")[0] == 200
        except (URLError, OSError):
            return False

    def wait_until_ready(self) -> None:
        """Wait until the service is ready; fail if it has ended."""
        wait_until(lambda: self.is_ready() or self.process.poll() is not None, START_S)
        assert self.process.poll() is None, self.err.read_text()

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run another command in the same environment."""
        return subprocess.run(
            [*COMMAND, *arguments],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )

    def stop(self, signal_: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal, wait for the end, and return the exit code."""
        self.process.send_signal(signal_)
        return self.process.wait(START_S)


@pytest.fixture
def environ(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> dict[str, str]:
    """Return the environment of this process without settings; all processes share their compiled modules."""
    mine = tmp_path_factory.getbasetemp()
    bytecode = (mine if worker_id == "master" else mine.parent) / "bytecode"
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SMP_", "OTEL_")) and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {**inherited, "PYTHONPATH": str(ROOT / "src"), "PYTHONPYCACHEPREFIX": str(bytecode), "COLUMNS": "200"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder for an embedded server; its path is short because of the server's socket."""
    folder = Path(tempfile.mkdtemp(prefix="smp-", dir="/tmp"))
    yield folder
    if (pid := postmaster(folder)) is not None:
        os.kill(pid, signal.SIGINT)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(environ: dict[str, str], folder: Path) -> Iterator[Service]:
    """Run a service during the block."""
    service = Service(environ, folder)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.process.kill()
            service.process.wait(SOON_S)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


def postmaster(folder: Path) -> int | None:
    """Return the process id of the embedded server."""
    try:
        return int((folder / "postgres" / "db" / "postmaster.pid").read_text().split()[0])
    except (FileNotFoundError, IndexError):
        return None


def wait_until(happened: Callable[[], bool], limit_s: float = SOON_S) -> None:
    deadline = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def log_lines(service: Service) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.err.read_text().splitlines()]


def test_a_first_start_creates_the_database_and_an_administrator_who_can_sign_in(
    environ: dict[str, str], folder: Path
) -> None:
    """With the embedded server, which other commands share."""
    with serving({**environ, "SMP_DATA_DIR": str(folder)}, folder) as service:
        service.wait_until_ready()
        printed = service.out.read_text()
        assert f"SMP on http://127.0.0.1:{service.port} (API: http://127.0.0.1:{service.port}/docs)" in printed
        email, password = (printed.split(f"{name}:", 1)[1].split()[0] for name in ("email", "password"))
        assert service.ask("POST", "/v1/auth/login", {"email": email, "password": password})[0] == 200
        assert service.ask("POST", "/v1/auth/login", {"email": email, "password": password + "x"})[0] == 401
        assert service.run("expire", "--json").returncode == 0
        assert service.is_ready(), "the command stopped the server under the service"
        answer = answered_while_stopping(service)
        assert answer.status == 201
        assert service.process.wait(START_S) == 0
        assert password not in service.err.read_text()
        assert "Traceback" not in service.err.read_text()
    assert postmaster(folder) is None, "the last process stops the server"
    with serving({**environ, "SMP_DATA_DIR": str(folder)}, folder) as again:
        again.wait_until_ready()
        assert "administrator" not in again.out.read_text()
        assert again.stop(signal.SIGINT) == 0


def answered_while_stopping(service: Service) -> http.client.HTTPResponse:
    """Return the response to a request whose body was not complete when the service received the stop."""
    body = json.dumps({"email": "ann@example.com", "password": PASSWORD}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=SOON_S)
    connection.putrequest("POST", "/v1/auth/register")
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", str(len(body)))
    connection.endheaders(body[:10])
    time.sleep(0.3)
    service.process.terminate()
    time.sleep(0.3)
    connection.send(body[10:])
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_a_killed_service_leaves_no_process_and_no_used_port(environ: dict[str, str], folder: Path) -> None:
    """Its workers end, and the last one stops the embedded PostgreSQL. Until then a second service is refused."""
    # A killed process cannot clear away its temporary files.
    environ = {**environ, "TMPDIR": str(folder), "SMP_DATA_DIR": str(folder), "SMP_WORKERS": "2"}
    with serving(environ, folder) as service:
        service.wait_until_ready()
        second = service.run("serve", "--port", str(service.port))
        assert second.returncode == 1
        assert second.stderr == f"smp: error: port {service.port} is in use; set SMP_PORT to another port\n"
        service.process.kill()
        wait_until(lambda: postmaster(folder) is None)
    wait_until(lambda: is_free(service.port))


def test_a_killed_embedded_server_is_started_again(environ: dict[str, str], folder: Path) -> None:
    with serving({**environ, "SMP_DATA_DIR": str(folder)}, folder) as service:
        service.wait_until_ready()
        killed = postmaster(folder)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: service.is_ready() and postmaster(folder) != killed)
        assert service.stop() == 0
    assert postmaster(folder) is None


def test_a_stop_during_the_start_ends_the_service_without_an_error(environ: dict[str, str], folder: Path) -> None:
    with serving({**environ, "SMP_DATA_DIR": str(folder)}, folder) as service:
        wait_until(lambda: postmaster(folder) is not None, START_S)
        assert service.stop() == 0
        assert "Traceback" not in service.err.read_text()
    assert postmaster(folder) is None


def test_production_refuses_an_old_schema_and_logs_json_after_the_migration(
    environ: dict[str, str], folder: Path, unmigrated_database_url: str
) -> None:
    """Two workers, whose metrics are summed on a separate port."""
    environ = {
        **environ,
        "SMP_ENV": "production",
        "SMP_DATABASE_URL": unmigrated_database_url,
        "SMP_ADMIN_EMAIL": "root@example.com",
        "SMP_ADMIN_PASSWORD": PASSWORD,
        "SMP_WORKERS": "2",
        "SMP_METRICS_PORT": str(metrics_port := free_port()),
    }
    with serving(environ, folder) as refused:
        assert refused.process.wait(START_S) == 1
        assert refused.err.read_text() == (
            f"smp: error: the database has no schema yet, and this version needs {migrator.head()}:"
            " run smp migrate first\n"
        )
        assert refused.run("migrate").returncode == 0
    with serving(environ, folder) as service:
        service.wait_until_ready()
        assert service.ask("POST", "/v1/auth/login", {"email": "root@example.com", "password": PASSWORD})[0] == 200
        assert service.ask("GET", "/metrics")[0] == 404
        assert all(service.ask("GET", "/v1/plans")[0] == 200 for _ in range(20))
        counted = b'smp_http_requests_total{method="GET",route="/v1/plans",status="200"} 20.0'
        # A request is counted after its last byte was sent.
        wait_until(lambda: counted in service.ask("GET", "/metrics", port=metrics_port)[1])
        assert service.stop() == 0
        lines = log_lines(service)
    assert service.out.read_text() == ""
    assert {"first administrator created", "starting", "ready", "request", "stopped"} <= {
        line["event"] for line in lines
    }
    assert all(line["timestamp"].endswith("Z") and line["level"] and line["logger"] for line in lines)
    assert all("request_id" in line for line in lines if line["event"] == "request")
    assert PASSWORD not in service.err.read_text()


def test_an_unreadable_password_list_prevents_the_start(
    environ: dict[str, str], folder: Path, database_url: str
) -> None:
    (folder / "list").write_bytes(b"\xff")
    environ = {**environ, "SMP_DATABASE_URL": database_url, "SMP_PASSWORD_BLOCKLIST": str(folder / "list")}
    with serving(environ, folder) as service:
        assert service.process.wait(START_S) == 2
        printed = service.err.read_text()
    assert printed.startswith(f"smp: error: SMP_PASSWORD_BLOCKLIST names {folder / 'list'}, which cannot be used: ")
    assert len(printed.splitlines()) == 1
