from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

import pytest
import structlog

from smp.adapters.memory.clock import MemoryClock
from smp.adapters.memory.store import MemoryStore
from smp.application.ports.retention_cleanup import PurgedRows
from smp.bootstrap import periodic_jobs as jobs_module
from smp.bootstrap.container import build_container
from smp.bootstrap.http import HttpProvider
from smp.bootstrap.memory import memory_http_provider, memory_provider
from smp.bootstrap.periodic_jobs import JOBS, JobObserver, PeriodicJob, periodic_jobs
from smp.bootstrap.settings import load_settings
from tests.support.builders import NOW


@dataclass
class Runs(JobObserver):
    """An observer that stores the result of every run: the number of deleted sessions, or None for a failed one."""

    sessions: list[int | None] = field(default_factory=list)

    def succeeded(self, job: str, counts: Mapping[str, int], elapsed_s: float) -> None:
        """Store the number."""
        self.sessions.append(counts["sessions"])

    def failed(self, job: str, elapsed_s: float) -> None:
        """Store None."""
        self.sessions.append(None)


@dataclass
class Purge:
    """A job that returns each of ``results`` once, then the last one forever; None stands for an error."""

    results: list[int | None]
    runs: int = 0

    async def __call__(self) -> PurgedRows:
        """Run once."""
        result = self.results[min(self.runs, len(self.results) - 1)]
        self.runs += 1
        if result is None:
            raise OSError
        return PurgedRows(sessions=result)


def a_job(purge: Purge, runs: Runs | None = None, interval_s: float = 0.01) -> PeriodicJob:
    return PeriodicJob("purge", purge, interval_s, runs or Runs())


def tasks_of_jobs() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("job ")}


async def wait_for_runs(purge: Purge, count: int) -> None:
    async with asyncio.timeout(5):
        while purge.runs < count:
            await asyncio.sleep(0.005)


def test_a_pause_is_the_interval_plus_or_minus_a_tenth() -> None:
    job = PeriodicJob("purge", Purge([0]), 60, Runs(), Random(1))  # noqa: S311 - no secret
    pauses = {job.pause_s() for _ in range(200)}
    assert len(pauses) > 100
    assert all(54 <= pause <= 66 for pause in pauses)
    assert max(pauses) - min(pauses) > 10


async def test_a_job_runs_again_after_each_interval() -> None:
    purge, runs = Purge([1, 0, 3]), Runs()
    async with a_job(purge, runs).running():
        await wait_for_runs(purge, 4)
    assert runs.sessions[:3] == [1, 0, 3]


async def test_the_first_run_is_soon_after_the_start_however_long_the_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs_module, "FIRST_PAUSE_S", 0.01)
    purge = Purge([0])
    async with a_job(purge, interval_s=86_400).running():
        await wait_for_runs(purge, 1)


async def test_a_failed_run_does_not_stop_the_job() -> None:
    purge, runs = Purge([None, 2]), Runs()
    with structlog.testing.capture_logs() as lines:
        async with a_job(purge, runs).running():
            await wait_for_runs(purge, 3)
    errors = [(line["event"], line["job_name"]) for line in lines if line["log_level"] == "error"]
    assert errors == [("the job failed and will run again", "purge")]
    assert runs.sessions[:2] == [None, 2]


async def test_a_slow_or_failing_job_delays_no_other() -> None:
    async def never_ends() -> PurgedRows:
        await asyncio.sleep(3_600)
        raise AssertionError

    purge = Purge([0])
    slow = PeriodicJob("slow", never_ends, 0.01, Runs())
    async with slow.running(), a_job(Purge([None])).running(), a_job(purge).running():
        await wait_for_runs(purge, 5)


async def test_a_job_stops_at_once_with_the_service() -> None:
    async with asyncio.timeout(1):
        async with a_job(Purge([0]), interval_s=86_400).running():
            assert tasks_of_jobs() == {"job purge"}
            await asyncio.sleep(0)
    assert tasks_of_jobs() == set()


async def test_only_a_run_that_did_something_is_logged_in_one_line() -> None:
    job = a_job(Purge([4, 0]))
    with structlog.testing.capture_logs() as lines:
        await job.run_once()
        await job.run_once()
    (line,) = lines
    assert {name: line[name] for name in ("event", "job_name", "sessions", "login_attempts")} == {
        "event": "job done",
        "job_name": "purge",
        "sessions": 4,
        "login_attempts": 0,
    }


@pytest.mark.parametrize(
    ("environ", "running"),
    [
        ({}, {job.name for job in JOBS}),
        ({"SMP_SWEEP_INTERVAL_S": "0"}, {"purge", "fold_counts"}),
        ({"SMP_SWEEP_INTERVAL_S": "0", "SMP_PURGE_INTERVAL_S": "0"}, {"fold_counts"}),
        ({"SMP_FOLD_COUNTS_INTERVAL_S": "0"}, {"expire", "purge"}),
    ],
)
async def test_the_service_runs_every_job_that_has_an_interval(environ: Mapping[str, str], running: set[str]) -> None:
    settings = load_settings({"SMP_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing", **environ})
    store = MemoryStore()
    overrides = memory_provider(store, MemoryClock(store, NOW)), memory_http_provider()
    container = build_container(settings, HttpProvider(), *overrides)
    async with periodic_jobs(container, settings):
        assert tasks_of_jobs() == {f"job {name}" for name in running}
    await container.close()
