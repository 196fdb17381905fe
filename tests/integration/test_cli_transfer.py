"""``smp export`` and ``smp import`` as people and programs meet them: real processes, files, pipes."""

from __future__ import annotations

import gzip
import json
import os
import pty
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import COMMAND, START_S, environment, run, short_folder

USERS = "40"


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> dict[str, str]:
    """A process's environment but for its database."""
    mine = tmp_path_factory.getbasetemp()
    return environment((mine if worker_id == "master" else mine.parent) / "bytecode")


@pytest.fixture(scope="module")
def source(environ: dict[str, str], untouched_database_url: str) -> dict[str, str]:
    """The environment of a platform with data, to which nothing is added."""
    environ = {**environ, "SMP_DATABASE_URL": untouched_database_url}
    assert run(environ, "demo", "--users", USERS).returncode == 0
    return environ


@pytest.fixture
def target(environ: dict[str, str], database_url: str) -> dict[str, str]:
    """The environment of another one, without data."""
    return {**environ, "SMP_DATABASE_URL": database_url}


def document(environ: dict[str, str], *arguments: str) -> dict[str, Any]:
    """What the command tells programs."""
    done = run(environ, *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    told: dict[str, Any] = json.loads(line)
    return told


def test_programs_are_told_what_was_moved(source: dict[str, str], target: dict[str, str], tmp_path: Path) -> None:
    """By both commands the same, but for what each did."""
    file = tmp_path / "all.jsonl.gz"
    written = document(source, "export", str(file))
    first, again = document(target, "import", str(file)), document(target, "import", str(file))
    about = {"rows", "counts", "sha256", "schema", "exported_at", "elapsed_s"}
    assert set(written) == about | {"file"}
    assert set(first) == about | {"written", "resumed_at"}
    same = about - {"elapsed_s"}
    assert {name: written[name] for name in same} == {name: first[name] for name in same}
    assert written["counts"]["users"] == int(USERS)
    assert written["rows"] == sum(written["counts"].values()) == first["written"]
    assert (first["resumed_at"], again["written"]) == (None, 0)
    assert gzip.decompress(file.read_bytes()).splitlines()[-1].endswith(f'"{written["sha256"]}"}}'.encode())
    assert run(target, "doctor").returncode == 0


def test_people_are_told_what_was_moved(source: dict[str, str], target: dict[str, str], tmp_path: Path) -> None:
    """In one line, which ends with what to do next; a file that is there is not lost by a slip."""
    file = tmp_path / "all.jsonl"
    exported = run(source, "export", str(file))
    assert exported.returncode == 0, exported
    assert f" rows ({USERS} users, 6 plans, " in exported.stdout
    assert f" exported to {file} in " in exported.stdout
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = run(source, "export", str(file))
    assert (again.returncode, again.stdout) == (2, "")
    assert (
        again.stderr
        == f"smp: error: {file} is there already; take another name, or add --force; see smp export --help\n"
    )
    assert run(source, "export", str(file), "--force").returncode == 0
    imported = run(target, "import", str(file))
    assert imported.returncode == 0, imported
    assert imported.stdout.endswith(" s. Now run smp doctor.\n")
    assert run(target, "import", str(file)).stdout.endswith(" are there already; nothing was changed.\n")


def test_the_data_go_through_a_pipe(source: dict[str, str], target: dict[str, str], tmp_path: Path) -> None:
    """Compressed or not, and nothing but the data is in it."""
    for options in ([], ["--gzip"]):
        done = subprocess.run(
            [*COMMAND, "export", "-", *options], env=source, capture_output=True, timeout=START_S, check=True
        )
        assert done.stdout.startswith(b"\x1f\x8b" if options else b'{"table":"smp-transfer",')
        assert b" exported in " in done.stderr
        read = subprocess.run(
            [*COMMAND, "import", "-", "--json"],
            env=target,
            input=done.stdout,
            capture_output=True,
            timeout=START_S,
            check=False,
        )
        if not options:
            assert json.loads(read.stdout)["written"] > 0, read
        assert (read.returncode, read.stderr) == (0, b"")


def test_what_is_refused_is_one_line_and_ends_with_1(source: dict[str, str], tmp_path: Path) -> None:
    """Which says what is wrong with the file."""
    (tmp_path / "notes.txt").write_text("milk\n")
    refused = run(source, "import", str(tmp_path / "notes.txt"))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "smp: error: line 1: this is no file that smp export has written\n"


def test_a_platform_that_is_not_there_is_not_made_by_an_export(environ: dict[str, str], tmp_path: Path) -> None:
    """An empty file would look like a backup."""
    refused = run({**environ, "SMP_DATA_DIR": str(tmp_path / "none")}, "export", str(tmp_path / "all.jsonl"))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"smp: error: there is no database in {tmp_path / 'none'}: ")
    assert list(tmp_path.iterdir()) == []


def test_an_export_without_its_database_leaves_no_file(environ: dict[str, str], tmp_path: Path) -> None:
    """Nor a part of one."""
    nowhere = {**environ, "SMP_DATABASE_URL": "postgresql://smp:hunter2@127.0.0.1:1/smp"}
    failed = run(nowhere, "export", str(tmp_path / "all.jsonl"))
    assert failed.returncode == 1
    assert failed.stderr.startswith("smp: error: no answer from the database smp at 127.0.0.1:1")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal: the end that people look at, and the end that programs write to."""
    looked_at, written_to = pty.openpty()
    yield looked_at, written_to
    os.close(looked_at)
    os.close(written_to)


def on_terminal(
    terminal: tuple[int, int],
    environ: dict[str, str],
    *arguments: str,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
) -> str:
    """What a person sees of the command's standard error, and of the other streams that are the terminal's."""
    looked_at, written_to = terminal
    command, environ = [*COMMAND, *arguments], {**environ, "TERM": "xterm"}
    subprocess.run(command, env=environ, stdin=stdin, stdout=stdout, stderr=written_to, timeout=START_S, check=False)
    os.set_blocking(looked_at, False)
    return os.read(looked_at, 1_000_000).decode()


def test_people_see_how_far_it_is(
    source: dict[str, str], target: dict[str, str], tmp_path: Path, terminal: tuple[int, int]
) -> None:
    """A bar for each stage."""
    assert "Writing the file" in on_terminal(terminal, source, "export", str(tmp_path / "all.jsonl"))
    assert "Writing the database" in on_terminal(terminal, target, "import", str(tmp_path / "all.jsonl"))
    assert "Comparing" in on_terminal(terminal, target, "import", str(tmp_path / "all.jsonl"))


def test_secrets_are_not_poured_onto_a_terminal(source: dict[str, str], terminal: tuple[int, int]) -> None:
    """Neither is anything read from one."""
    seen = on_terminal(terminal, source, "export", "-", stdout=terminal[1])
    assert "standard output is a terminal" in seen
    assert "$argon2" not in seen
    assert "standard input is a terminal" in on_terminal(terminal, source, "import", "-", stdin=terminal[1])


def test_it_is_moved_out_of_the_embedded_database(environ: dict[str, str], target: dict[str, str]) -> None:
    """The way from trying it out to a PostgreSQL of one's own."""
    with short_folder() as folder:
        embedded = {**environ, "SMP_DATA_DIR": str(folder / "data")}
        assert run(embedded, "demo", "--users", "5").returncode == 0
        written = document(embedded, "export", str(folder / "all.jsonl"))
        assert document(target, "import", str(folder / "all.jsonl"))["written"] == written["rows"]
    assert run(target, "doctor").returncode == 0
