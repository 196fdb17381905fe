"""Faults of a database that a program uses."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.processes import children
from tests.support.proxies import Proxy


@contextmanager
def frozen(postmaster: int) -> Iterator[None]:
    """Stop all processes of PostgreSQL during the block; its socket still accepts connections."""
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
    """Cut every connection over which COMMIT is sent during the block, before or after it has arrived."""

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
