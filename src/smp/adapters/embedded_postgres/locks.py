"""Locks between the processes that share one data directory.

Both are ``flock`` locks: the kernel releases them when their process ends, in whatever way. A list of process ids in a
file, the usual alternative, keeps the id of a killed process, and would keep the server running for ever.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smp.adapters.embedded_postgres.errors import ServerBusy

_POLL_S = 0.02


@contextmanager
def exclusive(path: Path, *, timeout_s: float) -> Iterator[None]:
    """Hold the exclusive lock on the file ``path`` during the block; create the file if it is missing.

    Raises:
        ServerBusy: if another process has held it for ``timeout_s`` seconds.
        OSError: if the file cannot be opened.
    """
    descriptor = _open(path)
    try:
        deadline = time.monotonic() + timeout_s
        while not _flock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                message = (
                    f"another process has held {path} for more than {timeout_s:.0f} s while starting or stopping"
                    " PostgreSQL; end that process and start again"
                )
                raise ServerBusy(message)
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)


class Lease:
    """A shared claim on the running server. Any number of processes, and of objects in one process, can have one.

    Create and release it only while you hold the :func:`exclusive` lock of the same directory, so that no other process
    can take a lease between the release of the last one and the stop of the server.
    """

    def __init__(self, path: Path) -> None:
        """Take a lease on the lock file ``path``; create the file if it is missing.

        Raises:
            OSError: if the file cannot be opened.
        """
        self._path = path
        self._descriptor: int | None = _open(path)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def release(self) -> bool:
        """Release the lease, and return whether it was the last one on the server.

        Return ``False`` also if the lock file was replaced: then the directory was removed, and a server in a new
        directory at the same path belongs to others.
        """
        if self._descriptor is None:
            return False
        try:
            in_place = os.path.samestat(os.fstat(self._descriptor), self._path.stat())
            return in_place and _flock(self._descriptor, fcntl.LOCK_EX)
        except FileNotFoundError:
            return False
        finally:
            self.close()

    def close(self) -> None:
        """Release the lease without checking whether it was the last one. Closing it again has no effect."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _open(path: Path) -> int:
    # Links are not followed: the folder belongs to the server's account, which must not choose what root opens.
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _flock(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
