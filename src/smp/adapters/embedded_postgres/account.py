"""Whom the server runs as where this process is root, which PostgreSQL refuses to run as."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from smp.adapters.embedded_postgres.errors import NoSystemAccount

ACCOUNT_NAME = "smp_postgres"
"""The system account that is made on first use as root."""

_USERADD_ATTEMPTS = 20
_USERADD_PAUSE_S = 0.25


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the operating system; ``name`` is for people."""

    uid: int
    gid: int
    name: str


def account_for(data_dir: Path) -> Account | None:
    """The account to run the server with, ``None`` for the one this process has already (it is not root).

    The owner of ``data_dir`` where that is not root, so that a folder made by an ordinary user stays that user's;
    otherwise ``smp_postgres``, which is made where missing, and ``data_dir`` is handed over to it.

    Raises:
        NoSystemAccount: where it is needed and cannot be made.
    """
    if os.geteuid() != 0:
        return None
    status = data_dir.stat()
    if status.st_uid != 0:
        try:
            owner = pwd.getpwuid(status.st_uid)
        except KeyError:
            return Account(status.st_uid, status.st_gid, f"uid {status.st_uid}")
        return Account(owner.pw_uid, owner.pw_gid, owner.pw_name)
    account = _system_account()
    os.chown(data_dir, account.uid, account.gid)
    return account


def grant_traverse(target: Path) -> list[Path]:
    """Let every account pass through (not list) the folders above ``target``; answers those that were changed.

    Needs root. The bit ``o+x`` is the least that lets another account reach a path it knows.
    """
    changed = []
    for folder in target.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
            changed.append(folder)
    return changed


def open_tree(root: Path) -> None:
    """Let every account read the installed files under ``root``, and run those that their owner may run.

    Needs root. Wanted where the packages were installed under a umask such as 077.
    """
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _system_account() -> Account:
    said = ""
    for _ in range(_USERADD_ATTEMPTS):
        try:
            entry = pwd.getpwnam(ACCOUNT_NAME)
        except KeyError:
            said = _useradd()
        else:
            return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)
        if said:  # another process may be writing the same files at this moment
            time.sleep(_USERADD_PAUSE_S)
    message = (
        f"PostgreSQL refuses to run as root, and its account {ACCOUNT_NAME!r} could not be made ({said});"
        " start as an ordinary user, or set SMP_DATABASE_URL to a PostgreSQL of yours"
    )
    raise NoSystemAccount(message)


def _useradd() -> str:
    """What went wrong, empty for nothing."""
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", ACCOUNT_NAME]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip() or f"useradd ended with {done.returncode}")
