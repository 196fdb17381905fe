"""The data directory: what it may be, and who owns it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from smp.adapters.embedded_postgres.account import Account, account_for, opened
from smp.adapters.embedded_postgres.errors import DataDirectoryUnusable

PORT = 5432
SOCKET_NAME = f".s.PGSQL.{PORT}"
# The longest path of a Unix socket, without the closing NUL: `sun_path` has 108 bytes on Linux and 104 elsewhere.
_SOCKET_PATH_MAX_BYTES = 107 if sys.platform == "linux" else 103


def check_path(data_dir: Path, socket: Path) -> None:
    """Check that clients can be given the path of the socket. Raises DataDirectoryUnusable."""
    path = str(socket)
    spare = _SOCKET_PATH_MAX_BYTES - len(os.fsencode(path))
    if spare < 0:
        raise unusable(
            data_dir,
            f"its path is {-spare} bytes too long for a Unix socket, and a shorter one would be open to others",
        )
    if "," in path or not path.isprintable():
        raise unusable(data_dir, "its path has a comma or a control character, which a connection URL cannot contain")


def make_data_dir(data_dir: Path) -> Account | None:
    """Create the folder if it is missing, close it to others, and return the account that has to run the server.

    Raises:
        DataDirectoryUnusable: if it is not a folder, belongs to another program, or, for root, is a link.
        OSError: if it cannot be created or opened.
    """
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        data_dir.mkdir(mode=0o700)
    if not data_dir.is_dir():
        raise unusable(data_dir, "it is not a folder")
    if os.geteuid() == 0 and data_dir.is_symlink():
        raise unusable(data_dir, "it is a link, which root does not follow")
    with opened(data_dir) as folder:
        names = {entry.name for entry in os.scandir(folder)}
        if names and "start.lock" not in names:
            raise unusable(data_dir, "it contains files that were not made by SMP")
        os.fchmod(folder, 0o700)
        return account_for(folder)


def unusable(data_dir: Path, reason: str) -> DataDirectoryUnusable:
    """Return the error of a data directory that cannot be used."""
    return DataDirectoryUnusable(
        f"{data_dir} cannot hold the embedded PostgreSQL: {reason}; set SMP_DATA_DIR to another folder"
    )
