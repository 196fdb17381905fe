"""The metrics of several worker processes as one: each process writes its own file into a shared folder.

The client library reads the name of the folder from an environment variable, once, when it is imported.
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

_COMBINED_BY: Final = {"process_max_fds": min, "process_start_time_seconds": min}
"""The functions for metrics that are not added up over the workers."""


def shared_folder() -> Path | None:
    """Return the folder that this process shares with others; ``None`` if its metrics are in memory."""
    named = os.environ.get(FOLDER_VARIABLE)
    return None if named is None else Path(named)


def shared_registry(folder: Path) -> CollectorRegistry:
    """Return the metrics of all processes that write into ``folder``.

    The counters of a process that has ended are kept; its gauges (connections, queues) are removed.
    """
    registry = CollectorRegistry()
    registry.register(_EndedProcessCleanup(folder))
    _WrittenFiles(registry, path=str(folder))  # type: ignore[no-untyped-call]
    ProcessMetrics(registry, lambda: [pid for pid in _processes(folder) if _is_alive(pid)])
    return registry


class ProcessMetrics(Collector):
    """Processor time, memory and file descriptors of processes, added up; empty on systems without ``/proc``."""

    def __init__(
        self, registry: CollectorRegistry, pids: Callable[[], Iterable[int | str]] = lambda: ("self",)
    ) -> None:
        self._pids = pids
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registration does not read the processes."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return one value of each metric; a process that ends at the same time is left out."""
        found: dict[str, list[Metric]] = {}
        for pid in self._pids():
            for metric in _of_process(pid):
                found.setdefault(metric.name, []).append(metric)
        for name, metrics in found.items():
            (sample,) = metrics[0].samples
            combined = _COMBINED_BY.get(name, sum)([each.samples[0].value for each in metrics])
            one = Metric(name, metrics[0].documentation, metrics[0].type)
            one.add_sample(sample.name, sample.labels, combined)
            yield one


class _WrittenFiles(MultiProcessCollector):
    """A collector of all files but those that a worker has created and not written yet, which have no header."""

    def collect(self) -> Iterable[Metric]:
        files = [str(file) for file in Path(self._path).glob("*.db") if _size(file) > 0]
        return self.merge(files)  # type: ignore[no-any-return, no-untyped-call]


class _EndedProcessCleanup(Collector):
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
    """Return the processes that have files, such as ``counter_123.db`` or ``gauge_livesum_123.db``."""
    return sorted({int(file.stem.rpartition("_")[2]) for file in folder.glob("*.db")})


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
