"""The choice among the installed client programs of PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from smp.adapters.postgres_tools.errors import BackupError
from smp.adapters.postgres_tools.programs import choose_programs, find_programs
from tests.support.programs import Programs


def installed(tmp_path: Path, versions: Sequence[str]) -> tuple[list[Path], dict[str, str]]:
    """Create stand-ins in folders and return the folders; the last one is the PATH of the variables."""
    folders = []
    for version in versions:
        folder = tmp_path / version
        folder.mkdir()
        Programs(folder).answer("pg_dump", "--version", output=f"pg_dump (PostgreSQL) {version}\n")
        folders.append(folder)
    return folders[:-1], {"PATH": f"{folders[-1]}:/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("versions", "needed", "chosen"),
    [
        (["18.6", "16.2 (Debian)"], 15, 16),
        (["18.6", "16.2"], 17, 18),
        (["18.6", "19beta1"], 19, 19),
        (["18.6", "18.1"], 18, 18),
    ],
)
def test_the_oldest_programs_that_can_read_the_server_are_used(
    tmp_path: Path, versions: Sequence[str], needed: int, chosen: int
) -> None:
    """On the PATH or not. More versions of pg_restore can read the dump of an older program."""
    assert choose_programs(find_programs(*installed(tmp_path, versions)), needed).major == chosen


def test_programs_that_are_older_than_the_server_are_refused(tmp_path: Path) -> None:
    """The message says what was found, what is needed, and what to do."""
    folders, environ = installed(tmp_path, ["15.20", "16.2", "nonsense"])
    with pytest.raises(BackupError) as refused:
        choose_programs(find_programs(folders, environ), 18)
    assert str(refused.value) == (
        "PostgreSQL's client programs of version 18 or newer are needed, and found were only"
        f" 15 in {folders[0]}, 16 in {folders[1]}; install postgresql-client-18 and put it on the PATH,"
        " or pip install 'smp[embedded]'"
    )


def test_a_machine_without_client_programs_is_an_error(tmp_path: Path) -> None:
    """This includes a machine whose programs do not run."""
    (tmp_path / "pg_dump").write_text("not a program")
    with pytest.raises(BackupError, match="found were none"):
        choose_programs(find_programs([tmp_path, tmp_path / "missing"], {"PATH": str(tmp_path)}), 15)
