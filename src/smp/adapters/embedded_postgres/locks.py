"""Agreement between the processes that share one data directory.

Both locks are ``flock`` locks: the kernel drops them with the process that held them, however it ended. A list of
process ids in a file, the usual alternative, outlives a killed process and then keeps the server running for ever.
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
    """Hold the lock file ``path`` (made where missing) alone.

    Raises:
        ServerBusy: where another process kept it for ``timeout_s`` seconds.
        OSError: where the file cannot be opened.
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
    """One user's claim on the server; any number of processes, and of objects in one process, hold one each.

    Taken and given back only under the :func:`exclusive` lock of the same directory, so that "am I the last?" and
    what follows from the answer are one step.
    """

    def __init__(self, path: Path) -> None:
        """Take a claim on the lock file ``path`` (made where missing).

        Raises:
            OSError: where the file cannot be opened.
        """
        self._path = path
        self._descriptor: int | None = _open(path)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def release(self) -> bool:
        """Whether this was the last claim; also ``False`` where the file is not the one that was claimed any more.

        The latter means that the directory was removed and perhaps made again by others, whose server it is now.
        """
        if self._descriptor is None:
            return False
        try:
            in_place = os.path.samestat(os.fstat(self._descriptor), self._path.stat())
            return in_place and _flock(self._descriptor, fcntl.LOCK_EX)
        except FileNotFoundError:
            return False
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Drop the claim without asking whether it was the last; twice is once."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _open(path: Path) -> int:
    # Not followed: as root the folder belongs to the server's account, which must not choose what root opens.
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _flock(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
