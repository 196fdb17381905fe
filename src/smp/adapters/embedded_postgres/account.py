"""The system account of the server if this process runs as root: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smp.adapters.embedded_postgres.errors import NoSystemAccount

ACCOUNT_NAME = "smp_postgres"
"""The system account that is created on the first start as root."""

_USERADD_ATTEMPTS = 20
_USERADD_PAUSE_S = 0.25


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the operating system; ``name`` is for messages."""

    uid: int
    gid: int
    name: str


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """Open the folder for the block, and return its descriptor; root does not follow a link in its place.

    The folder's parent may belong to another account, which could replace the folder by a link at any time. A change
    of mode or owner through the descriptor reaches the folder that was checked.

    Raises:
        OSError: if there is no such folder.
    """
    follow = 0 if os.geteuid() else os.O_NOFOLLOW
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | follow)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def account_for(data_dir: int) -> Account | None:
    """Return the account that has to run the server, or ``None`` if this process is not root and can run it itself.

    It is the owner of the opened folder ``data_dir``, unless that is root: a folder of an ordinary user stays that
    user's. Otherwise it is ``smp_postgres``, which is created if it is missing and becomes the owner of ``data_dir``.

    Raises:
        NoSystemAccount: if the account is needed and cannot be created.
    """
    if os.geteuid() != 0:
        return None
    status = os.fstat(data_dir)
    if status.st_uid != 0:
        try:
            owner = pwd.getpwuid(status.st_uid)
        except KeyError:
            return Account(status.st_uid, status.st_gid, f"uid {status.st_uid}")
        return Account(owner.pw_uid, owner.pw_gid, owner.pw_name)
    account = _system_account()
    os.fchown(data_dir, account.uid, account.gid)
    return account


def grant_traverse(target: Path) -> list[Path]:
    """Let every account pass through the folders above ``target``, and return the folders that were changed.

    Needs root. The permission ``o+x`` lets other accounts reach a path, but does not let them list a folder.
    """
    changed = []
    for folder in target.resolve().parents:
        with opened(folder) as descriptor:
            mode = os.fstat(descriptor).st_mode
            if not mode & stat.S_IXOTH:
                os.fchmod(descriptor, stat.S_IMODE(mode) | stat.S_IXOTH)
                changed.append(folder)
    return changed


def open_tree(root: Path) -> None:
    """Let every account read the files under ``root``, and run the files that their owner may run.

    Needs root. It is needed if the packages were installed with a umask such as 077.
    """
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def program_environment() -> dict[str, str]:
    """Return all variables that a program is given: none of SMP's secrets, and nothing that changes its behaviour."""
    return {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ} | {"LANG": "C"}


def _system_account() -> Account:
    failure = ""
    for _ in range(_USERADD_ATTEMPTS):
        try:
            entry = pwd.getpwnam(ACCOUNT_NAME)
        except KeyError:
            failure = _useradd()
        else:
            return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)
        if failure:  # another process may be creating the account now, and locks the same files for it
            time.sleep(_USERADD_PAUSE_S)
    message = (
        f"PostgreSQL refuses to run as root, and the account {ACCOUNT_NAME!r} could not be created for it ({failure});"
        " run SMP as an ordinary user, or set SMP_DATABASE_URL to use your own PostgreSQL"
    )
    raise NoSystemAccount(message)


def _useradd() -> str:
    """Create the system account, and return the error message, or an empty text for success."""
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", ACCOUNT_NAME]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=program_environment()
        )
    except OSError as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip() or f"useradd ended with {done.returncode}")
