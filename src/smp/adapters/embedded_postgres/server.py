"""The embedded PostgreSQL: one server a data directory, shared by all processes that start it there.

The directory holds ``db`` (the cluster, with the Unix socket inside), ``server.log``, and two lock files. No network
address is listened on. Whoever may enter the directory is the database's superuser, so it is kept at mode 0700, as is
the socket. Linux and macOS; Windows has no ``flock``.
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
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from smp.adapters.embedded_postgres.account import Account, account_for, grant_traverse
from smp.adapters.embedded_postgres.binaries import Binaries, find_binaries
from smp.adapters.embedded_postgres.errors import (
    DataDirectoryUnusable,
    DataVersionMismatch,
    EmbeddedPostgresError,
    StartFailed,
    StopFailed,
)
from smp.adapters.embedded_postgres.locks import Lease, exclusive

_PORT = 5432
_SOCKET_NAME = f".s.PGSQL.{_PORT}"
# What a Unix socket's address holds, without the closing NUL: sun_path has 108 bytes on Linux, 104 elsewhere.
_SOCKET_PATH_MAX_BYTES = 107 if sys.platform == "linux" else 103

_LOCK_TIMEOUT_S = 120.0  # longer than one initdb and one start on a slow disk
_INITDB_TIMEOUT_S = 60.0
_START_TIMEOUT_S = 60.0  # a start after a crash replays the log first
_STOP_TIMEOUT_S = 60.0
# After the server was killed its children hold the shared memory for about a second, and init needs about two to
# bury it; a start in that time fails and is tried again.
_RETRY_S = 15.0
_RETRY_PAUSE_S = 0.1
_TRANSIENT = ("Is another postmaster", "shared memory block")
_ANSWER_TIMEOUT_S = 5.0
# "May I use TLS?", which a server answers with one byte, on a Unix socket always "N": the protocol's shortest exchange.
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_LOG_MAX_BYTES = 5_000_000
_LOG_TAIL_CHARS = 2_000

_SETTINGS = {
    "listen_addresses": "",
    # Relative to the cluster: a server that outlives its removed directory then cannot, on its way out, unlink the
    # socket of the one that was made at the same path since.
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "port": str(_PORT),
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Refused statements are the application's to report; here they would put personal data into a growing file.
    "log_min_messages": "log",
    "log_checkpoints": "off",
    # Compiling pays for long analytical statements only; there are none.
    "jit": "off",
}


class EmbeddedPostgres:
    """One user's hold on the server of ``data_dir``; nothing happens before :meth:`start`.

    Blocking, and not for use by several threads at once; several objects on one directory are fine.
    """

    def __init__(self, data_dir: Path) -> None:
        """``data_dir`` belongs to this class alone: new, empty, or made by it; parents are made where missing."""
        self._data_dir = data_dir.expanduser().absolute()
        self._cluster = self._data_dir / "db"
        self._log = self._data_dir / "server.log"
        self._lease: Lease | None = None
        self._owner_pid = 0
        self._account: Account | None = None
        self._opened: list[Path] = []

    def start(self) -> str:
        """Start the server, or join the one that runs; answers the superuser's URL for asyncpg and SQLAlchemy.

        The hold lasts until :meth:`stop` or the end of this process. Starting twice is starting once.

        Raises:
            EmbeddedPostgresError: where it cannot run; the message says what to do.
        """
        self._check_path()
        try:
            self._make_data_dir()
            with exclusive(self._data_dir / "start.lock", timeout_s=_LOCK_TIMEOUT_S):
                self._ensure_running(self._binaries())
                if self._lease is None:
                    self._lease = Lease(self._data_dir / "in-use.lock")
                    self._owner_pid = os.getpid()
                    atexit.register(self.stop)
        except OSError as error:
            raise self._unusable(str(error)) from error
        return f"postgresql://postgres@/postgres?host={quote(os.fsencode(self._cluster))}&port={_PORT}"

    def stop(self) -> None:
        """Give the hold back; the last one out stops the server. Without a hold nothing happens.

        Raises:
            StopFailed: where the server did not stop.
            ServerBusy: where another process kept starting or stopping it.
        """
        lease, self._lease = self._lease, None
        if lease is None:
            return
        atexit.unregister(self.stop)
        try:
            if os.getpid() == self._owner_pid:  # in a fork's copy the hold is the parent's
                with exclusive(self._data_dir / "start.lock", timeout_s=_LOCK_TIMEOUT_S):
                    if lease.release():
                        self._stop_server()
        except FileNotFoundError:
            pass  # the directory was removed; its server notices within a minute and ends itself
        finally:
            lease.abandon()

    def root_notice(self) -> str | None:
        """One line that tells a person what running as root has led to; ``None`` elsewhere, and before the start."""
        if self._account is None:
            return None
        notice = f"running as root: PostgreSQL refuses that and runs as the account {self._account.name!r}"
        if self._opened:
            notice += "; other accounts may now pass through " + ", ".join(map(str, self._opened))
        return notice

    def _check_path(self) -> None:
        path = str(self._cluster / _SOCKET_NAME)
        spare = _SOCKET_PATH_MAX_BYTES - len(os.fsencode(path))
        if spare < 0:
            raise self._unusable(
                f"its path is {-spare} bytes too long for a Unix socket, which would have to lie where others may enter"
            )
        if "," in path or not path.isprintable():
            raise self._unusable("its path has a comma or a control character, which a connection URL cannot carry")

    def _make_data_dir(self) -> None:
        self._data_dir.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            self._data_dir.mkdir(mode=0o700)
        if not self._data_dir.is_dir():
            raise self._unusable("it is not a folder")
        if any(self._data_dir.iterdir()) and not (self._data_dir / "start.lock").exists():
            raise self._unusable("it holds files that were not made by SMP")
        self._data_dir.chmod(0o700)

    def _binaries(self) -> Binaries:
        self._account = account_for(self._data_dir)
        opened = grant_traverse(self._data_dir) if self._account else []
        binaries, also_opened = find_binaries(self._account)
        self._opened += opened + also_opened
        return binaries

    def _ensure_running(self, binaries: Binaries) -> None:
        """The guard: only a server that answers counts, and whatever a killed one left behind is cleared away.

        Raises:
            DataVersionMismatch: where the data are of another major version.
            StartFailed: where it cannot be started.
        """
        if self._answers():
            return
        self._ensure_initialised(binaries)
        deadline = time.monotonic() + _RETRY_S
        while not self._answers():
            failure = "it is neither ready nor gone"
            if not self._is_alive():
                # A zombie, or a stranger that was given the number again: PostgreSQL would take either for a server.
                # What guards the data is the shared memory, which it will not share with a living server's children.
                for stale in ("postmaster.pid", f"{_SOCKET_NAME}.lock"):
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
                    f"the data in {self._data_dir} are PostgreSQL {found}'s, and this is PostgreSQL {shipped}: move"
                    f" them over with pg_dump of version {found} and psql, or set SMP_DATA_DIR to another folder"
                )
                raise DataVersionMismatch(message)
            return
        # Made aside and renamed: an initdb that is killed half-way never leaves a cluster that looks whole.
        for leftover in self._data_dir.glob("db.new.*"):
            shutil.rmtree(leftover, ignore_errors=True)
        draft = self._data_dir / f"db.new.{os.getpid()}"
        draft.mkdir(mode=0o700)
        if self._account:
            os.chown(draft, self._account.uid, self._account.gid)
        # One locale on every machine, whatever is installed or set there.
        locale = ("--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        access = ("--username=postgres", "--auth-local=trust", "--auth-host=reject")
        try:
            done = binaries.run("initdb", "-D", ".", *locale, *access, cwd=draft, timeout_s=_INITDB_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise self._start_failed(str(error)) from error
        if done.returncode != 0:
            raise self._start_failed(done.stdout)
        draft.rename(self._cluster)

    def _start_server(self, binaries: Binaries) -> str:
        """What went wrong, empty for nothing."""
        if self._log.exists() and self._log.stat().st_size > _LOG_MAX_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        logged = self._log.stat().st_size if self._log.exists() else 0
        options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        # Relative paths, for pg_ctl passes them through a shell without quoting what shells expand.
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
        """Whether a server is ready and talks; the kernel takes connections for one that is about to be dead, too."""
        lines = self._postmaster_file()
        if not lines or lines[-1].strip() != "ready":
            return False
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_ANSWER_TIMEOUT_S)
            try:
                client.connect(str(self._cluster / _SOCKET_NAME))
                client.sendall(_SSL_REQUEST)
                return client.recv(1) == b"N"
            except OSError:
                return False

    def _is_alive(self) -> bool:
        """Whether the process that ``postmaster.pid`` names is the server of this cluster, and no zombie."""
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
            done = subprocess.run(["ps", "-o", "stat=,comm=", "-p", pid], check=False, capture_output=True, text=True)
            state, _, name = done.stdout.strip().partition(" ")
            return not state.startswith("Z") and "postgres" in name

    def _postmaster_file(self) -> list[str]:
        try:
            return (self._cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []

    def _unusable(self, reason: str) -> DataDirectoryUnusable:
        return DataDirectoryUnusable(
            f"{self._data_dir} cannot hold the embedded PostgreSQL: {reason}; set SMP_DATA_DIR to another folder"
        )

    def _start_failed(self, reason: str) -> EmbeddedPostgresError:
        return StartFailed(
            f"PostgreSQL in {self._data_dir} did not start; its log is {self._log}, and it said:\n{reason.strip()}"
        )
