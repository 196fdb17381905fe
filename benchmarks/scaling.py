"""The cost of more processes: the processor time of one check."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

from benchmarks import datasets, load, processes
from benchmarks.access import PATH
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, Table, Unit, at_most, middle, ratio_of_pairs
from benchmarks.server import FOLDER
from benchmarks.sessions import sign_in

NAME: Final = "scaling"
WORKERS: Final = (1, 2, 4)
_SUBSCRIPTIONS: Final = 20_000
_SESSIONS: Final = 500

_HOW: Final = """
`smp serve` with {workers} workers on one database with {subscriptions:,} subscriptions. `GET {path}`
is requested in turns ({loader}). The processes share the processors of this machine with the load generator and with
PostgreSQL. Therefore the figure is not the number of answers but the cost of one: the processor time of all workers,
and of PostgreSQL's processes, for one check. If the cost stays the same, twice the processors give twice the answers.
"""


@dataclass(slots=True)
class _Cost:
    """The processor time of one operation in microseconds, for each round: the service's, and PostgreSQL's."""

    service_us: list[float] = field(default_factory=list)
    database_us: list[float] = field(default_factory=list)

    def add(self, service_s: float, database_s: float, count: int) -> None:
        """Add one round."""
        self.service_us.append(service_s / count * 1e6)
        self.database_us.append(database_s / count * 1e6)


@dataclass(frozen=True, slots=True)
class _Served:
    """A service under load."""

    port: int
    workers: Sequence[int]
    cost: _Cost = field(default_factory=_Cost)
    rates: list[float] = field(default_factory=list)


async def run(bench: Bench) -> Section:
    """Measure processes."""
    served = await _ask_processes(bench)
    how = _HOW.format(
        workers=", ".join(map(str, WORKERS)), subscriptions=_SUBSCRIPTIONS, path=PATH, loader=load.loader()
    )
    return Section(NAME, "More processes", how, tuple(_process_figures(served)), (_by_workers(served),))


async def _ask_processes(bench: Bench) -> dict[int, _Served]:
    database = await bench.datasets.database(datasets.PLATFORM, _SUBSCRIPTIONS)
    cookies = [one.cookie for one in await sign_in(bench.server, database, _SESSIONS)]
    with ExitStack() as stack:
        settings = bench.server.settings(database)
        served = {count: stack.enter_context(_serving(settings, count)) for count in WORKERS}
        for one in served.values():
            await asyncio.to_thread(load.ask, one.port, PATH, cookies, 1.0)
        backends = await bench.server.backends(database)
        for number in range(bench.scale.rounds):
            bench.progress.step(f"processes, round {number + 1} of {bench.scale.rounds}")
            for one in served.values():
                ours, theirs = processes.cpu_s(one.workers), processes.cpu_s(backends)
                done = await asyncio.to_thread(load.ask, one.port, PATH, cookies, bench.scale.round_s)
                ours, theirs = processes.cpu_s(one.workers) - ours, processes.cpu_s(backends) - theirs
                one.cost.add(ours, theirs, done.requests)
                one.rates.append(done.per_second)
    return served


@contextmanager
def _serving(settings: dict[str, str], workers: int) -> Iterator[_Served]:
    port = processes.free_port()
    log = FOLDER / f"serve-{port}.log"
    more = {"SMP_PORT": str(port), "SMP_WORKERS": str(workers), "SMP_SWEEP_INTERVAL_S": "0"}
    with processes.running(processes.python("smp.bootstrap", "serve"), settings | more, log) as process:
        processes.wait_for_answer(process, port, "/health/ready")
        yield _Served(port, processes.children(process.pid))
    log.unlink()


def _process_figures(served: dict[int, _Served]) -> Iterator[Figure]:
    alone, many = served[WORKERS[0]].cost, served[WORKERS[-1]].cost
    of = f"{WORKERS[-1]} workers, ratio to 1"
    ours = ratio_of_pairs(many.service_us, alone.service_us)
    yield Figure(f"access check: processor time of the service, {of}", ours, target=at_most(1.25))
    theirs = ratio_of_pairs(many.database_us, alone.database_us)
    yield Figure(f"access check: processor time of PostgreSQL, {of}", theirs, target=at_most(1.25))


def _by_workers(served: dict[int, _Served]) -> Table:
    rows = tuple(
        (str(count), *_both(one.cost), f"{middle(one.rates):,.0f}{Unit.PER_SECOND}") for count, one in served.items()
    )
    columns = ("workers", "service, µs per check", "PostgreSQL, µs per check", "together on this machine")
    return Table("Processes", columns, rows)


def _both(cost: _Cost) -> tuple[str, str]:
    return f"{middle(cost.service_us):,.0f}", f"{middle(cost.database_us):,.0f}"
