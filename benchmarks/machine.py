"""The machine on which the figures are measured."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Final

BUSY: Final = 0.5
"""The load for each processor from which on a machine counts as busy with other work."""


def describe(postgres_version: str) -> str:
    """Return the machine and the versions that matter, in one line."""
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} processor{'' if cores == 1 else 's'} ({_model()}), {gib:.0f} GiB of memory,"
        f" {platform.system()} {platform.machine()}, Python {platform.python_version()}, PostgreSQL {postgres_version}"
    )


def busy_with() -> float | None:
    """Return the load of the last minute if it would make the figures worse, otherwise ``None``."""
    load = os.getloadavg()[0]
    return load if load > BUSY * len(os.sched_getaffinity(0)) else None


def _model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return " ".join(value.split())
    return platform.processor() or "unknown"
