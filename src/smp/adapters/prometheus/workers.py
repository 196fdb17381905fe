"""Several worker processes, one answer: their figures lie in a folder that they share, one file a process.

The client library decides at its import, by an environment variable that names the folder, whether it writes there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"

_OF_ANY_ONE: Final = {"process_max_fds": min, "process_start_time_seconds": min}
"""What is not added up over the workers."""


def shared_folder() -> Path | None:
    """Where this process's figures lie with those of others; ``None`` where they are in its memory."""
    named = os.environ.get(FOLDER_VARIABLE)
    return None if named is None else Path(named)


def shared_registry(folder: Path) -> CollectorRegistry:
    """The figures of all processes that write into ``folder``.

    What a dead one has counted stays counted; what it had at hand (connections, queues) is gone with it.
    """
    registry = CollectorRegistry()
    registry.register(_Living(folder))
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    ProcessMetrics(registry, lambda: [pid for pid in _processes(folder) if _is_alive(pid)])
    return registry


class ProcessMetrics(Collector):
    """Processor time, memory and file descriptors of processes, added up; nothing where there is no ``/proc``."""

    def __init__(
        self, registry: CollectorRegistry, pids: Callable[[], Iterable[int | str]] = lambda: ("self",)
    ) -> None:
        self._pids = pids
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not look at processes to know that the names are free."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """One figure of each kind; a process that ends during this is left out."""
        found: dict[str, list[Metric]] = {}
        for pid in self._pids():
            for metric in _of_process(pid):
                found.setdefault(metric.name, []).append(metric)
        for name, metrics in found.items():
            (sample,) = metrics[0].samples
            together = _OF_ANY_ONE.get(name, sum)([each.samples[0].value for each in metrics])
            one = Metric(name, metrics[0].documentation, metrics[0].type)
            one.add_sample(sample.name, sample.labels, together)
            yield one


class _Living(Collector):
    """A collector without metrics that removes ended processes before the others are collected."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        for pid in _processes(self._folder):
            if not _is_alive(pid):
                mark_process_dead(pid, str(self._folder))  # type: ignore[no-untyped-call]
        return ()


def _of_process(pid: int | str) -> Iterable[Metric]:
    return ProcessCollector(pid=lambda: pid, registry=None).collect()


def _processes(folder: Path) -> Sequence[int]:
    """Those that have written; a file is called ``counter_123.db`` or ``gauge_livesum_123.db``."""
    return sorted({int(file.stem.rpartition("_")[2]) for file in folder.glob("*.db")})


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
