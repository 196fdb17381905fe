"""PostgreSQL's client programs that are installed, and the choice among them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smp.adapters.postgres_tools.errors import BackupError

_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class ClientPrograms:
    """``pg_dump``, ``pg_restore`` and ``psql`` of one major version in one folder."""

    folder: Path
    major: int


def find_programs(folders: Iterable[Path], environ: Mapping[str, str]) -> Sequence[ClientPrograms]:
    """Return the programs in the folders and the first ones on the ``PATH`` of ``environ``, oldest first.

    ``environ`` is all that the programs are given.
    """
    on_path = shutil.which("pg_dump", path=environ.get("PATH"))
    found = [
        ClientPrograms(folder, _major(folder, environ))
        for folder in (*folders, *([Path(on_path).parent] if on_path else []))
    ]
    return sorted((programs for programs in found if programs.major), key=lambda programs: programs.major)


def choose_programs(found: Sequence[ClientPrograms], needed: int) -> ClientPrograms:
    """Return the oldest programs of at least the major version ``needed``: their dumps are the most portable.

    Raises:
        BackupError: if all are older, or none is installed.
    """
    for programs in found:
        if programs.major >= needed:
            return programs
    listed = ", ".join(f"{programs.major} in {programs.folder}" for programs in found)
    raise BackupError(
        f"PostgreSQL's client programs of version {needed} or newer are needed, and found were"
        f" {f'only {listed}' if found else 'none'}; install postgresql-client-{needed} and put it on the PATH,"
        " or pip install 'smp[embedded]'"
    )


def _major(folder: Path, environ: Mapping[str, str]) -> int:
    """Return the major version of ``pg_dump`` in the folder; 0 if it does not run."""
    try:
        done = subprocess.run(
            [folder / "pg_dump", "--version"],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            env=environ,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = re.match(r"pg_dump \(PostgreSQL\) (\d+)", done.stdout)
    return int(version[1]) if version else 0
