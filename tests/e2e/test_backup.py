"""Backing up and restoring a platform: real processes, files and databases."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import psutil
import pytest

from smp.adapters.embedded_postgres.server import EmbeddedPostgres
from tests.support.clients import Browser
from tests.support.postgres import Server, execute, fetch_value, wait_for
from tests.support.processes import COMMAND, START_S, begin, run, serving, short_folder, wait_until

ROLE: Final = "smp_backup_test"
ROLE_PASSWORD: Final = "hunter2"
TABLES: Final = """
    SELECT array_agg(relname::text ORDER BY relname) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
SESSIONS: Final = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
WAITING: Final = f"{SESSIONS} AND wait_event_type = 'Lock'"


@pytest.fixture(scope="module")
def role(postgres_server: Server) -> str:
    """Return an account without any privilege."""
    postgres_server.execute(
        f"DO $$ BEGIN CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE_PASSWORD}';"
        " EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$"
    )
    return ROLE


@pytest.fixture
def target(environ: dict[str, str], postgres_server: Server, unmigrated_database_url: str, role: str) -> dict[str, str]:
    """Return the environment of an empty database that belongs to an ordinary role."""
    (name,) = re.findall(r"/(\w+)(?:\?|$)", unmigrated_database_url)
    postgres_server.execute(f"ALTER DATABASE {name} OWNER TO {role}")
    url = re.sub(r"//[^@/]*@", f"//{role}:{ROLE_PASSWORD}@", unmigrated_database_url)
    return {**environ, "SMP_DATABASE_URL": url}


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform with data in the embedded database, an administrator and an API key."""

    environ: dict[str, str]
    url: str
    password: str
    api_key: str


@pytest.fixture(scope="module")
def platform(environ: dict[str, str]) -> Iterator[Platform]:
    """Return the platform of the backup; it runs for all tests of the module, which saves time."""
    with short_folder() as folder:
        mine = {**environ, "SMP_DATA_DIR": str(folder / "data")}
        assert run(mine, "demo", "--users", "200").returncode == 0
        server = EmbeddedPostgres(folder / "data" / "postgres")
        url = server.start()
        try:
            admin = document(mine, "admin", "create", "--email", "ann@example.com", "--generate-password")
            yield Platform(mine, url, admin["password"], document(mine, "api-key", "create", "shop")["secret"])
        finally:
            server.stop()


@pytest.fixture(scope="module")
def backup(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a backup of the platform."""
    file = tmp_path_factory.mktemp("backup") / "smp.dump"
    done = run(platform.environ, "backup", str(file))
    assert done.returncode == 0, done
    return file


def document(environ: dict[str, str], *arguments: str) -> dict[str, Any]:
    """Return the command's JSON output."""
    done = run(environ, *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, ""), done
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def tables(url: str) -> list[str]:
    """Return the names of the tables in the database."""
    found: Any = wait_for(fetch_value(url, TABLES))
    return list(found or [])


def rows(url: str) -> dict[str, list[str]]:
    """Return all rows of all tables."""

    async def read() -> dict[str, list[str]]:
        connection = await asyncpg.connect(url)
        try:
            return {
                table: [row[0] for row in await connection.fetch(f"SELECT t::text FROM {table} AS t ORDER BY 1")]  # noqa: S608
                for table in names
            }
        finally:
            await connection.close()

    names = tables(url)
    return wait_for(read())


def test_a_platform_can_be_moved_from_the_embedded_database_to_a_server_with_all_its_data(
    platform: Platform, target: dict[str, str], folder: Path
) -> None:
    """The role is no superuser. Passwords and API keys work as before."""
    written = document(platform.environ, "backup", str(folder / "smp.dump"))
    restored = document(target, "restore", str(folder / "smp.dump"))
    assert written["size_bytes"] == (folder / "smp.dump").stat().st_size
    assert written["users"] == restored["users"] == 201
    assert written["subscriptions"] == restored["subscriptions"] > 200
    assert (restored["ok"], restored["applied"]) == (True, [])
    before = rows(platform.url)
    assert len(before) > 10
    assert rows(target["SMP_DATABASE_URL"]) == before
    with serving(target, folder) as service, Browser(service.port) as browser:
        browser.log_in("ann@example.com", platform.password)
        user_id = browser.ask("GET", "/v1/me").document["id"]
        headers = {"authorization": f"Bearer {platform.api_key}"}
        assert browser.ask("GET", f"/v1/users/{user_id}/access/seats", headers=headers).status == 200


def test_only_its_owner_can_read_a_backup_and_it_replaces_no_file_by_default(
    platform: Platform, tmp_path: Path
) -> None:
    file = tmp_path / "smp.dump"
    first = run(platform.environ, "backup", str(file))
    assert re.fullmatch(rf"[\d,]+ bytes, 201 users, .* backed up to {file} in [\d.]+ s\n", first.stdout), first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.stat().st_ino
    again = run(platform.environ, "backup", str(file))
    assert (again.returncode, again.stdout) == (2, "")
    assert f"{file} already exists" in again.stderr
    assert file.stat().st_ino == before
    assert run(platform.environ, "backup", str(file), "--force").returncode == 0
    assert [each.name for each in tmp_path.iterdir()] == ["smp.dump"]


def test_a_backup_can_be_piped(platform: Platform, target: dict[str, str], tmp_path: Path) -> None:
    """Standard output contains the backup only."""
    piped = subprocess.run(
        [*COMMAND, "backup", "-"], env=platform.environ, capture_output=True, timeout=START_S, check=True
    )
    (tmp_path / "smp.dump").write_bytes(piped.stdout)
    assert run(target, "restore", str(tmp_path / "smp.dump")).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("backup", "FOLDER/new"), "has no SMP data"),
        (("restore", "FOLDER/text"), "is not a backup"),
        (("restore", "FOLDER/cut"), "is damaged, and nothing was changed"),
        (("restore", "FOLDER/head"), "is not a backup"),
        (("restore", "FOLDER/flipped"), "is damaged, and nothing was changed"),
    ],
)
def test_a_refused_backup_or_restore_changes_nothing(
    target: dict[str, str], backup: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    """The database stays empty, and no file is created."""
    content = backup.read_bytes()
    (tmp_path / "text").write_text("milk\n" * 1_000)
    (tmp_path / "head").write_bytes(content[:500])
    (tmp_path / "cut").write_bytes(content[: len(content) * 3 // 4])
    flipped = bytes(byte ^ 255 for byte in content[-4_000:-3_900])
    (tmp_path / "flipped").write_bytes(content[:-4_000] + flipped + content[-3_900:])
    files = sorted(tmp_path.iterdir())
    refused = run(target, *(argument.replace("FOLDER", str(tmp_path)) for argument in arguments))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert message in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert tables(target["SMP_DATABASE_URL"]) == []
    assert sorted(tmp_path.iterdir()) == files


def test_a_database_with_tables_is_refused_by_restore(target: dict[str, str], backup: Path) -> None:
    """Even if the tables are empty."""
    assert run(target, "migrate").returncode == 0
    before = rows(target["SMP_DATABASE_URL"])
    refused = run(target, "restore", str(backup))
    assert refused.returncode == 1
    assert "is not empty: it has the table api_keys" in refused.stderr
    assert rows(target["SMP_DATABASE_URL"]) == before


def test_a_backup_of_a_newer_version_is_refused(target: dict[str, str], database_url: str, tmp_path: Path) -> None:
    """This version could not read its data."""
    wait_for(execute(database_url, "UPDATE smp_schema_version SET version_num = '9999'"))
    source = {**target, "SMP_DATABASE_URL": database_url}
    assert document(source, "backup", str(tmp_path / "smp.dump"))["schema"] == "9999"
    refused = run(target, "restore", str(tmp_path / "smp.dump"))
    assert refused.returncode == 1
    assert "has the schema 9999, newer than this version of SMP" in refused.stderr
    assert tables(target["SMP_DATABASE_URL"]) == []


def test_a_missing_database_is_not_created_by_a_backup(environ: dict[str, str], tmp_path: Path) -> None:
    """An empty backup would look like a good one."""
    refused = run({**environ, "SMP_DATA_DIR": str(tmp_path / "none")}, "backup", str(tmp_path / "smp.dump"))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"smp: error: there is no database in {tmp_path / 'none'}: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_a_stopped_restore_leaves_the_database_empty(
    target: dict[str, str], unmigrated_database_url: str, backup: Path, how: signal.Signals
) -> None:
    """Even after ``kill -9`` when all rows are written and only indexes are missing."""
    with (
        open_transaction(unmigrated_database_url, "CREATE TABLE users_email_idx ()"),
        begin(target, "restore", str(backup)) as it,
    ):
        wait_until(lambda: it.poll() is not None or counted(unmigrated_database_url, WAITING) > 0, START_S)
        children = psutil.Process(it.pid).children(recursive=True)
        assert children
        assert not any(ROLE_PASSWORD in word for child in children for word in child.cmdline())
        it.send_signal(how)
        it.communicate(timeout=START_S)
    assert it.returncode != 0
    psutil.wait_procs(children, timeout=START_S)
    assert not any(child.is_running() for child in children)
    wait_until(lambda: counted(unmigrated_database_url, SESSIONS) == 0)
    assert tables(unmigrated_database_url) == []


def test_a_stopped_backup_leaves_no_file(environ: dict[str, str], database_url: str, tmp_path: Path) -> None:
    """It is stopped by Ctrl-C while it waits for the database."""
    source = {**environ, "SMP_DATABASE_URL": database_url}
    with open_transaction(database_url, "LOCK TABLE users"), begin(source, "backup", str(tmp_path / "smp.dump")) as it:
        wait_until(lambda: it.poll() is not None or counted(database_url, WAITING) > 0, START_S)
        it.send_signal(signal.SIGINT)
        _, said = it.communicate(timeout=START_S)
    assert (it.returncode, said.lstrip()) == (1, "smp: error: stopped before it was done\n")
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_shows_the_progress_of_a_backup_and_no_secrets(platform: Platform, tmp_path: Path) -> None:
    """Standard output is refused if it is a terminal."""
    looked_at, written_to = pty.openpty()
    for file in (str(tmp_path / "smp.dump"), "-"):
        subprocess.run(
            [*COMMAND, "backup", file],
            env={**platform.environ, "TERM": "xterm"},
            stdin=subprocess.DEVNULL,
            stdout=written_to,
            stderr=written_to,
            timeout=START_S,
            check=False,
        )
    os.set_blocking(looked_at, False)
    seen = os.read(looked_at, 1_000_000).decode()
    os.close(looked_at)
    os.close(written_to)
    assert "Writing the backup" in seen
    assert "standard output is a terminal" in seen
    assert "PGDMP" not in seen


@contextmanager
def open_transaction(url: str, statement: str) -> Iterator[None]:
    """Run the statement in a transaction that stays open during the block."""
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(url))
    try:
        loop.run_until_complete(connection.execute(f"BEGIN; {statement}"))
        yield
    finally:
        loop.run_until_complete(connection.close())
        loop.close()


def counted(url: str, statement: str) -> int:
    """Return the number that the statement selects."""
    return int(str(wait_for(fetch_value(url, statement))))
