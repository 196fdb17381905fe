"""What can happen to a database under a program that uses it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.processes import children
from tests.support.proxies import Proxy


@contextmanager
def frozen(postmaster: int) -> Iterator[None]:
    """PostgreSQL without any sign of life in the block: its processes stand still, its socket takes connections."""
    pids = [postmaster, *children(postmaster)]
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in reversed(pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def cut_at_commit(proxy: Proxy, *, arrives: bool) -> Iterator[None]:
    """Every connection over which COMMIT is sent in the block is lost then: after it arrived, or before."""

    def is_commit(data: bytes) -> bool:
        return b"COMMIT" in data

    if arrives:
        proxy.cut_after = is_commit
    else:
        proxy.cut_before = is_commit
    try:
        yield
    finally:
        proxy.cut_before = proxy.cut_after = None
