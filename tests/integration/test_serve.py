"""``smp serve`` with real processes: started, asked, stopped, killed, and what it says when it cannot start."""

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
    """A running ``smp serve``; ``out`` and ``err`` are where its words go."""

    def __init__(self, environ: dict[str, str], folder: Path) -> None:
        self.port = free_port()
        self.environ = {**environ, "SMP_PORT": "1"}
        self.out, self.err = folder / "out", folder / "err"
        with self.out.open("w") as out, self.err.open("w") as err:
            command = [*COMMAND, "serve", "--port", str(self.port)]
            self.process = subprocess.Popen(command, env=self.environ, stdout=out, stderr=err)

    def ask(self, method: str, path: str, body: object = None, port: int | None = None) -> tuple[int, bytes]:
        """One request, on a connection of its own."""
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
        """Whether it answers that it is."""
        try:
            return self.ask("GET", "/health/ready")[0] == 200
        except (URLError, OSError):
            return False

    def wait_until_ready(self) -> None:
        """Until then, or it ended."""
        wait_until(lambda: self.is_ready() or self.process.poll() is not None, START_S)
        assert self.process.poll() is None, self.err.read_text()

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Another command in the same environment."""
        return subprocess.run(
            [*COMMAND, *arguments],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )

    def stop(self, signal_: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and wait for that; its exit code."""
        self.process.send_signal(signal_)
        return self.process.wait(START_S)


@pytest.fixture
def environ(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> dict[str, str]:
    """This process's environment without settings; compiled modules are kept for the whole test run."""
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
    """A folder for an embedded server; short, for the path of its socket."""
    folder = Path(tempfile.mkdtemp(prefix="smp-", dir="/tmp"))
    yield folder
    if (pid := postmaster(folder)) is not None:
        os.kill(pid, signal.SIGINT)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(environ: dict[str, str], folder: Path) -> Iterator[Service]:
    """A service that is ended after the block, however that ends."""
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
    """The embedded server's process."""
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


def test_a_newcomer_starts_it_signs_in_and_stops_it(environ: dict[str, str], folder: Path) -> None:
    """From nothing, with the embedded server and the first administrator; other commands share the database."""
    with serving({**environ, "SMP_DATA_DIR": str(folder)}, folder) as service:
        service.wait_until_ready()
        said = service.out.read_text()
        assert f"SMP on http://127.0.0.1:{service.port} (API: http://127.0.0.1:{service.port}/docs)" in said
        email, password = (said.split(f"{name}:", 1)[1].split()[0] for name in ("email", "password"))
        assert service.ask("POST", "/v1/auth/login", {"email": email, "password": password})[0] == 200
        assert service.ask("POST", "/v1/auth/login", {"email": email, "password": password + "x"})[0] == 401
        assert service.run("expire", "--json").returncode == 0
        assert service.is_ready(), "the command stopped the server under the service"
        answer = answered_while_stopping(service)
        assert answer.status == 201
        assert service.process.wait(START_S) == 0
        assert password not in service.err.read_text()
        assert "Traceback" not in service.err.read_text()
    assert postmaster(folder) is None, "the last one out stops the server"
    with serving({**environ, "SMP_DATA_DIR": str(folder)}, folder) as again:
        again.wait_until_ready()
        assert "administrator" not in again.out.read_text()
        assert again.stop(signal.SIGINT) == 0


def answered_while_stopping(service: Service) -> http.client.HTTPResponse:
    """The answer to a request whose body was under way when the service was told to stop."""
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
    """Its workers end, and the last of them stops the embedded PostgreSQL. Until then a second service is refused."""
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


def test_stopped_while_it_starts_it_ends_in_order(environ: dict[str, str], folder: Path) -> None:
    with serving({**environ, "SMP_DATA_DIR": str(folder)}, folder) as service:
        wait_until(lambda: postmaster(folder) is not None, START_S)
        assert service.stop() == 0
        assert "Traceback" not in service.err.read_text()
    assert postmaster(folder) is None


def test_production_refuses_an_old_schema_and_then_speaks_json(
    environ: dict[str, str], folder: Path, unmigrated_database_url: str
) -> None:
    """Two workers, whose figures have a port of their own and are told together."""
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
        figures = service.ask("GET", "/metrics", port=metrics_port)[1].decode()
        assert 'smp_http_requests_total{method="GET",route="/v1/plans",status="200"} 20.0' in figures
        assert service.stop() == 0
        lines = log_lines(service)
    assert service.out.read_text() == ""
    assert {"first administrator created", "starting", "ready", "request", "stopped"} <= {
        line["event"] for line in lines
    }
    assert all(line["timestamp"].endswith("Z") and line["level"] and line["logger"] for line in lines)
    assert all("request_id" in line for line in lines if line["event"] == "request")
    assert PASSWORD not in service.err.read_text()


def test_a_bad_list_of_passwords_stops_the_start(environ: dict[str, str], folder: Path, database_url: str) -> None:
    (folder / "list").write_bytes(b"\xff")
    environ = {**environ, "SMP_DATABASE_URL": database_url, "SMP_PASSWORD_BLOCKLIST": str(folder / "list")}
    with serving(environ, folder) as service:
        assert service.process.wait(START_S) == 2
        said = service.err.read_text()
    assert said.startswith(f"smp: error: SMP_PASSWORD_BLOCKLIST names {folder / 'list'}, which cannot be used: ")
    assert len(said.splitlines()) == 1
