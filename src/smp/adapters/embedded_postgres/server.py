"""The embedded PostgreSQL: one server for each data directory, shared by all processes that use the directory.

The directory contains ``db`` (the cluster, with the Unix socket inside), ``server.log``, and two lock files. The server
listens on no network address. Every account that can enter the directory is a superuser of the database, so the
directory and the socket have mode 0700. It runs on Linux and macOS; Windows has no ``flock``.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

from smp.adapters.embedded_postgres.account import Account, grant_traverse, program_environment
from smp.adapters.embedded_postgres.binaries import Binaries, find_binaries
from smp.adapters.embedded_postgres.data_directory import PORT, SOCKET_NAME, check_path, make_data_dir, unusable
from smp.adapters.embedded_postgres.errors import (
    DataVersionMismatch,
    EmbeddedPostgresError,
    StartFailed,
    StopFailed,
)
from smp.adapters.embedded_postgres.locks import Lease, exclusive

_LOCK_TIMEOUT_S = 120.0  # longer than one initdb and one start on a slow disk
_INITDB_TIMEOUT_S = 60.0
_START_TIMEOUT_S = 60.0  # a start after a crash replays the log first
_STOP_TIMEOUT_S = 60.0
# After a server was killed, its child processes hold the shared memory for about a second, and the system needs about
# two to remove the process. A start during that time fails, so it is tried again.
_RETRY_S = 15.0
_RETRY_PAUSE_S = 0.1
_TRANSIENT = ("Is another postmaster", "shared memory block")
_ANSWER_TIMEOUT_S = 5.0
# The request to use TLS is the shortest exchange of the protocol: the answer is one byte, on a Unix socket always "N".
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_LOG_MAX_BYTES = 5_000_000
_LOG_TAIL_CHARS = 2_000

_SETTINGS = {
    "listen_addresses": "",
    # Relative to the cluster: if the directory is removed and created again, the old server, which still runs, cannot
    # delete the socket of the new one when it ends.
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The application reports refused statements; here they would put personal data into a file that grows.
    "log_min_messages": "log",
    "log_checkpoints": "off",
    # Compilation only helps long analytical statements, and SMP has none.
    "jit": "off",
}


class EmbeddedPostgres:
    """A share in the server of ``data_dir``. Nothing happens before :meth:`start`.

    The methods block, and several threads must not use one object at once. Several objects may use one directory.
    """

    def __init__(self, data_dir: Path) -> None:
        """Choose the data directory: a missing or empty folder, or one that this class has created."""
        self._data_dir = data_dir.expanduser().absolute()
        self._cluster = self._data_dir / "db"
        self._log = self._data_dir / "server.log"
        self._lease: Lease | None = None
        self._owner_pid = 0
        self._account: Account | None = None
        self._opened: list[Path] = []

    def start(self) -> str:
        """Start the server, or join the running one, and return the superuser's URL for asyncpg and SQLAlchemy.

        The server runs at least until :meth:`stop` or the end of this process. A second start has no effect.

        Raises:
            EmbeddedPostgresError: if the server cannot run; the message says what to do.
        """
        check_path(self._data_dir, self._cluster / SOCKET_NAME)
        try:
            self._account = make_data_dir(self._data_dir)
            with exclusive(self._data_dir / "start.lock", timeout_s=_LOCK_TIMEOUT_S):
                self._ensure_running(self._binaries())
                if self._lease is None:
                    self._lease = Lease(self._data_dir / "in-use.lock")
                    self._owner_pid = os.getpid()
                    atexit.register(self.stop)
        except OSError as error:
            raise unusable(self._data_dir, str(error)) from error
        return f"postgresql://postgres@/postgres?host={quote(os.fsencode(self._cluster))}&port={PORT}"

    def stop(self) -> None:
        """Release the share, and stop the server if it was the last one. Without a start it has no effect.

        Raises:
            StopFailed: if the server did not stop.
            ServerBusy: if another process is starting or stopping the server for too long.
        """
        lease, self._lease = self._lease, None
        if lease is None:
            return
        atexit.unregister(self.stop)
        try:
            if os.getpid() == self._owner_pid:  # after a fork the lease belongs to the parent process
                with exclusive(self._data_dir / "start.lock", timeout_s=_LOCK_TIMEOUT_S):
                    if lease.release():
                        self._stop_server()
        except FileNotFoundError:
            pass  # the directory was removed; PostgreSQL detects that within a minute and ends
        finally:
            lease.close()

    def root_notice(self) -> str | None:
        """Return one line about the consequences of running as root; ``None`` if not root, or not started."""
        if self._account is None:
            return None
        notice = f"this process is root: PostgreSQL refuses that, so it runs as the account {self._account.name!r}"
        if self._opened:
            notice += "; other accounts may now pass through " + ", ".join(map(str, self._opened))
        return notice

    def _binaries(self) -> Binaries:
        granted = grant_traverse(self._data_dir) if self._account else []
        binaries, also_granted = find_binaries(self._account)
        self._opened += granted + also_granted
        return binaries

    def _ensure_running(self, binaries: Binaries) -> None:
        """Start the server if none answers, after removing the files that a killed one has left.

        Raises:
            DataVersionMismatch: if the data belong to another major version of PostgreSQL.
            StartFailed: if the server cannot be started.
        """
        if self._answers():
            return
        self._ensure_initialised(binaries)
        deadline = time.monotonic() + _RETRY_S
        while not self._answers():
            failure = "the running server does not become ready"
            if not self._is_alive():
                # The process id belongs to a zombie or another program, which PostgreSQL would mistake for a server.
                # The data stay safe: a new server does not start while the old one's processes use the shared memory.
                for stale in ("postmaster.pid", f"{SOCKET_NAME}.lock"):
                    (self._cluster / stale).unlink(missing_ok=True)
                failure = self._start_server(binaries)
                if failure and not any(sign in failure for sign in _TRANSIENT):
                    raise self._start_failed(failure)
            if time.monotonic() > deadline:
                raise self._start_failed(failure)
            time.sleep(_RETRY_PAUSE_S if failure else 0)

    def _ensure_initialised(self, binaries: Binaries) -> None:
        shipped = binaries.major_version()
        marker = self._cluster / "PG_VERSION"
        if marker.exists():
            found = marker.read_text(encoding="ascii", errors="replace").strip()
            if found != str(shipped):
                message = (
                    f"the data in {self._data_dir} are of PostgreSQL {found}, and this is PostgreSQL {shipped}: move"
                    f" them with pg_dump of version {found} and psql, or set SMP_DATA_DIR to another folder"
                )
                raise DataVersionMismatch(message)
            return
        # The cluster is created under another name: an initdb that is killed never leaves one that looks complete.
        for leftover in self._data_dir.glob("db.new.*"):
            shutil.rmtree(leftover, ignore_errors=True)
        draft = self._data_dir / f"db.new.{os.getpid()}"
        # initdb creates the folder, so that root need not give it to the account.
        # The same locale on every machine, regardless of its settings and installed locales.
        locale = ("--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        access = ("--username=postgres", "--auth-local=trust", "--auth-host=reject")
        try:
            done = binaries.run(
                "initdb", "-D", draft.name, *locale, *access, cwd=self._data_dir, timeout_s=_INITDB_TIMEOUT_S
            )
        except subprocess.TimeoutExpired as error:
            raise self._start_failed(str(error)) from error
        if done.returncode != 0:
            raise self._start_failed(done.stdout)
        draft.rename(self._cluster)

    def _start_server(self, binaries: Binaries) -> str:
        """Start the server, and return the error message, or an empty text for success."""
        if self._log.exists() and self._log.stat().st_size > _LOG_MAX_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        logged = self._log.stat().st_size if self._log.exists() else 0
        options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        # The paths are relative, because pg_ctl passes them through a shell without quoting special characters.
        arguments = ("start", "-D", ".", "-w", "-t", f"{_START_TIMEOUT_S:.0f}", "-l", f"../{self._log.name}")
        try:
            done = binaries.run("pg_ctl", *arguments, "-o", options, cwd=self._cluster, timeout_s=_START_TIMEOUT_S + 10)
        except subprocess.TimeoutExpired as error:
            return str(error)
        if done.returncode == 0:
            return ""
        tail = self._log.read_bytes()[logged:].decode(errors="replace") if self._log.exists() else ""
        return done.stdout + tail[-_LOG_TAIL_CHARS:]

    def _stop_server(self) -> None:
        if not self._is_alive():
            return
        binaries, _ = find_binaries(self._account)
        arguments = ("stop", "-D", ".", "-w", "-t", f"{_STOP_TIMEOUT_S:.0f}", "-m", "fast")
        try:
            done = binaries.run("pg_ctl", *arguments, cwd=self._cluster, timeout_s=_STOP_TIMEOUT_S + 10)
            failure = done.stdout.strip() if done.returncode != 0 else ""
        except subprocess.TimeoutExpired as error:
            failure = str(error)
        if failure and self._is_alive():
            message = f"PostgreSQL in {self._data_dir} did not stop ({failure}); see {self._log}"
            raise StopFailed(message)

    def _answers(self) -> bool:
        """Return whether a server is ready and answers.

        A connection alone proves nothing: the kernel also accepts one for a server that is ending.
        """
        lines = self._postmaster_file()
        if not lines or lines[-1].strip() != "ready":
            return False
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_ANSWER_TIMEOUT_S)
            try:
                client.connect(str(self._cluster / SOCKET_NAME))
                client.sendall(_SSL_REQUEST)
                return client.recv(1) == b"N"
            except OSError:
                return False

    def _is_alive(self) -> bool:
        """Return whether the process in ``postmaster.pid`` is the server of this cluster, and no zombie."""
        lines = self._postmaster_file()
        if not lines or not lines[0].strip().isdigit():
            return False
        pid = lines[0].strip()
        if sys.platform == "linux":
            try:
                # A server's working directory is its cluster; a zombie has none.
                return Path(f"/proc/{pid}/cwd").samefile(self._cluster)
            except FileNotFoundError:
                return False
            except PermissionError:
                return True
        else:
            command = ["ps", "-o", "stat=,comm=", "-p", pid]
            done = subprocess.run(command, check=False, capture_output=True, text=True, env=program_environment())
            state, _, name = done.stdout.strip().partition(" ")
            return not state.startswith("Z") and "postgres" in name

    def _postmaster_file(self) -> list[str]:
        try:
            return (self._cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []

    def _start_failed(self, reason: str) -> EmbeddedPostgresError:
        return StartFailed(
            f"PostgreSQL in {self._data_dir} did not start; see its log {self._log}. Its output:\n{reason.strip()}"
        )
