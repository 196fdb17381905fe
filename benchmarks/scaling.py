"""The cost of more processes and of partitions: the processor time of one check and of one activation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from time import process_time
from typing import Final

from dishka import AsyncContainer

from benchmarks import datasets, load, processes, stories
from benchmarks.access import PATH
from benchmarks.activation import activate, container_of
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, Table, Unit, at_most, middle, ratio_of_pairs
from benchmarks.replay import numbered_uuid
from benchmarks.server import FOLDER
from benchmarks.sessions import SignedIn, sign_in
from benchmarks.stories import FEATURE
from smp.application.caller import ANONYMOUS, Caller
from smp.application.execution import Handler
from smp.application.queries.authenticate import Authenticate
from smp.application.queries.check_access import CheckAccess
from smp.domain.access import AccessDecision

NAME: Final = "scaling"
WORKERS: Final = (1, 2, 4)
PARTITIONS: Final = (0, 4, 16)
"""0 is the schema without partitions."""

_SUBSCRIPTIONS: Final = 20_000
_SESSIONS: Final = 500
_CHECKS: Final = 4
"""Checks for each activation, so that both take about the same time."""

_HOW: Final = """
More processes: `smp serve` with {workers} workers on one database with {subscriptions:,} subscriptions. `GET {path}`
is requested in turns ({loader}). The processes share the processors of this machine with the load generator and with
PostgreSQL. Therefore the figure is not the number of answers but the cost of one: the processor time of all workers,
and of PostgreSQL's processes, for one check. If the cost stays the same, twice the processors give twice the answers.

More partitions: the normal schema, and the schema with every table that belongs to users in {partitions} hash
partitions by the user's id, as a distributed engine places rows on servers ([scaling](scaling.md)). One process
activates a plan for new users and checks access, {transactions:,} activations for each round, in turns. Partitions of
one server share its log and its memory, and the planner searches for the right partition at each execution. So these
figures show the cost of partitions without their gain. A ratio is the median of the ratios of neighbouring rounds.
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


@dataclass(frozen=True, slots=True)
class _Partitioned:
    """A partitioned database, and the container of a process that uses it."""

    name: str
    container: AsyncContainer
    signed_in: Sequence[SignedIn]
    activation: _Cost = field(default_factory=_Cost)
    check: _Cost = field(default_factory=_Cost)


async def run(bench: Bench) -> Section:
    """Measure processes and partitions."""
    served = await _ask_processes(bench)
    dealt = await _ask_partitions(bench)
    figures = [*_process_figures(served), *_partition_figures(dealt)]
    how = _HOW.format(
        workers=", ".join(map(str, WORKERS)),
        subscriptions=_SUBSCRIPTIONS,
        path=PATH,
        loader=load.loader(),
        partitions=" and ".join(str(count) for count in PARTITIONS if count),
        transactions=_transactions(bench),
    )
    return Section(
        NAME, "More processes, more partitions", how, tuple(figures), (_by_workers(served), _by_partitions(dealt))
    )


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


async def _ask_partitions(bench: Bench) -> dict[int, _Partitioned]:
    count, rounds = _transactions(bench), bench.scale.rounds
    people = list(stories.registered(range(1, _SESSIONS + rounds * count + 1), numbered_uuid))
    async with AsyncExitStack() as stack:
        dealt = {}
        for partitions in PARTITIONS:
            bench.progress.step(f"making a database in {partitions or 'no'} partitions")
            name = await bench.datasets.empty(f"{NAME}_{partitions}", people, partitions)
            container = await stack.enter_async_context(container_of(bench, name, 2, None))
            for number in range(1, _SESSIONS + 1):
                await activate(container, number)
            dealt[partitions] = _Partitioned(name, container, await sign_in(bench.server, name, _SESSIONS))
        for number in range(rounds):
            bench.progress.step(f"partitions, round {number + 1} of {rounds}")
            first = _SESSIONS + number * count + 1
            for one in dealt.values():
                await _measure(bench, one, range(first, first + count))
    for one in dealt.values():
        await bench.server.drop(one.name)
    return dealt


async def _measure(bench: Bench, dealt: _Partitioned, numbers: range) -> None:
    authenticate = await dealt.container.get(Handler[Authenticate, Caller])
    check = await dealt.container.get(Handler[CheckAccess, AccessDecision])
    backends = await bench.server.backends(dealt.name)
    ours, theirs = process_time(), processes.cpu_s(backends)
    for number in numbers:
        await activate(dealt.container, number)
    dealt.activation.add(process_time() - ours, processes.cpu_s(backends) - theirs, len(numbers))
    ours, theirs = process_time(), processes.cpu_s(backends)
    for one in islice(cycle(dealt.signed_in), _CHECKS * len(numbers)):
        caller = await authenticate(Authenticate(session_token=one.token), ANONYMOUS)
        await check(CheckAccess(one.user_id, FEATURE), caller)
    dealt.check.add(process_time() - ours, processes.cpu_s(backends) - theirs, _CHECKS * len(numbers))


def _transactions(bench: Bench) -> int:
    return bench.scale.transactions // 2


def _process_figures(served: dict[int, _Served]) -> Iterator[Figure]:
    alone, many = served[WORKERS[0]].cost, served[WORKERS[-1]].cost
    of = f"{WORKERS[-1]} workers, ratio to 1"
    ours = ratio_of_pairs(many.service_us, alone.service_us)
    yield Figure(f"access check: processor time of the service, {of}", ours, target=at_most(1.25))
    theirs = ratio_of_pairs(many.database_us, alone.database_us)
    yield Figure(f"access check: processor time of PostgreSQL, {of}", theirs, target=at_most(1.25))


def _partition_figures(dealt: dict[int, _Partitioned]) -> Iterator[Figure]:
    whole, parts = dealt[PARTITIONS[0]], dealt[PARTITIONS[-1]]
    of = f"{PARTITIONS[-1]} partitions, ratio to none"
    pairs = {"access check": (whole.check, parts.check), "activation": (whole.activation, parts.activation)}
    for name, (one, many) in pairs.items():
        yield Figure(f"{name}: processor time of the service, {of}", ratio_of_pairs(many.service_us, one.service_us))
        yield Figure(f"{name}: processor time of PostgreSQL, {of}", ratio_of_pairs(many.database_us, one.database_us))


def _by_workers(served: dict[int, _Served]) -> Table:
    rows = tuple(
        (str(count), *_both(one.cost), f"{middle(one.rates):,.0f}{Unit.PER_SECOND}") for count, one in served.items()
    )
    columns = ("workers", "service, µs per check", "PostgreSQL, µs per check", "together on this machine")
    return Table("Processes", columns, rows)


def _by_partitions(dealt: dict[int, _Partitioned]) -> Table:
    rows = tuple(
        (str(count) if count else "none", *_both(one.check), *_both(one.activation)) for count, one in dealt.items()
    )
    columns = (
        "partitions",
        "service, µs per check",
        "PostgreSQL, µs per check",
        "service, µs per activation",
        "PostgreSQL, µs per activation",
    )
    return Table("Partitions", columns, rows)


def _both(cost: _Cost) -> tuple[str, str]:
    return f"{middle(cost.service_us):,.0f}", f"{middle(cost.database_us):,.0f}"
