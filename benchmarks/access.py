"""The access check: over HTTP, with a session, read from the database every time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Final

from benchmarks import datasets, load, processes
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, Table, Unit, at_least, at_most, middle, ratio_of_pairs
from benchmarks.layers import Layer, measure
from benchmarks.round_trips import RoundTrips, counted
from benchmarks.scenarios import FEATURE
from benchmarks.server import FOLDER
from benchmarks.sessions import SignedIn, sign_in

NAME: Final = "access"
PATH: Final = f"/v1/me/access/{FEATURE}"

_SESSIONS: Final = 1_000
_WARM_UP_S: Final = 1.0
_COUNTED: Final = 200
_OK: Final = 200

_HOW: Final = """
{sessions:,} users with one session each request `GET {path}`, one after the other, from `smp serve` with its default
settings (one worker, ten connections to PostgreSQL) and {subscriptions:,} subscriptions. Nothing is cached: every
check reads the session, the user, and the newest subscription with its plan. The check is compared with an empty
Litestar handler in a second server that has the same Granian settings. The two servers are measured in turns
({loader}), and a ratio is the median of the ratios of neighbouring rounds.

Server, load generator and PostgreSQL share the processors of the machine, so the worker's processor time for each
request is given as well: it does not depend on the load generator. A proxy that reads PostgreSQL's protocol counts
the round trips. Once a minute, SMP records the last use of a session, which is one more round trip.

SMP has its own pool of connections. Measured separately, a statement takes 27.6 µs of processor time on it, 34.7 µs on
asyncpg's pool without its reset, and 50.8 µs on asyncpg's pool as shipped. The behaviour of the pool is the more
important reason for it: [decision 4](adr/0004-sqlalchemy-core-on-asyncpg.md).
"""


@dataclass(frozen=True, slots=True)
class _Target:
    """A server under load: its worker, and the PostgreSQL processes that serve it."""

    port: int
    path: str
    worker: int
    rounds: list[load.Load] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    backends_us: list[float] = field(default_factory=list)

    def ask(self, cookies: Sequence[str], seconds: float, backends: Sequence[int]) -> None:
        """Measure one round."""
        before, database_before = processes.cpu_s([self.worker]), processes.cpu_s(backends)
        done = load.ask(self.port, self.path, cookies, seconds)
        self.rounds.append(done)
        self.cpu_us.append((processes.cpu_s([self.worker]) - before) / done.requests * 1e6)
        self.backends_us.append((processes.cpu_s(backends) - database_before) / done.requests * 1e6)


async def run(bench: Bench) -> Section:
    """Measure the access check."""
    database = await bench.datasets.database(*_data(bench))
    signed_in = await sign_in(bench.server, database, _SESSIONS)
    bench.progress.step("counting round trips")
    trips = await _round_trips(bench, database, signed_in)
    ours, theirs = await _compare(bench, database, [one.cookie for one in signed_in])
    bench.progress.step("layer by layer")
    layers = await measure(bench.server.settings(database), signed_in, bench.scale.rounds)
    return _section(bench, trips, ours, theirs, layers)


def _data(bench: Bench) -> tuple[datasets.Kind, int]:
    return datasets.PLATFORM, bench.scale.platform


async def _round_trips(bench: Bench, database: str, signed_in: Sequence[SignedIn]) -> float:
    """Return the number of round trips of a check whose statements are prepared."""
    async with counted(bench.server.socket_folder) as trips:
        settings = bench.server.settings(database) | {"SMP_DATABASE_URL": trips.url(database)}
        return await asyncio.to_thread(_count, settings, trips, signed_in)


def _count(settings: dict[str, str], trips: RoundTrips, signed_in: Sequence[SignedIn]) -> float:
    with _serving(processes.python("smp.bootstrap", "serve"), settings, "/health/live") as (port, _):
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        before = 0
        for number in range(2 * _COUNTED):
            if number == _COUNTED:
                before = trips.count
            cookie = signed_in[number % len(signed_in)].cookie
            connection.request("GET", PATH, headers={"Cookie": cookie})
            answer = connection.getresponse()
            answer.read()
            if answer.status != _OK:
                raise processes.Failed(f"{PATH} answered {answer.status}")
        connection.close()
        return (trips.count - before) / _COUNTED


async def _compare(bench: Bench, database: str, cookies: Sequence[str]) -> tuple[_Target, _Target]:
    scale = bench.scale
    with ExitStack() as stack:
        settings = bench.server.settings(database)
        serve = processes.python("smp.bootstrap", "serve")
        empty = processes.python("benchmarks.empty_server")
        ours = _Target(*_with(PATH, stack.enter_context(_serving(serve, settings, "/health/ready"))))
        theirs = _Target(*_with("/", stack.enter_context(_serving(empty, settings, "/"))))
        for target in (ours, theirs):
            await asyncio.to_thread(load.ask, target.port, target.path, cookies, _WARM_UP_S)
        backends = await bench.server.backends(database)
        for number in range(scale.rounds):
            bench.progress.step(f"round {number + 1} of {scale.rounds}")
            for target in (ours, theirs):
                await asyncio.to_thread(target.ask, cookies, scale.round_s, backends)
        memory = processes.resident_bytes(ours.worker)
        bench.progress.step(f"the worker holds {memory / 2**20:.0f} MiB")
    return ours, theirs


def _with(path: str, served: tuple[int, int]) -> tuple[int, str, int]:
    port, worker = served
    return port, path, worker


@contextmanager
def _serving(command: list[str], settings: dict[str, str], ready: str) -> Iterator[tuple[int, int]]:
    """Run a server in the block, without an expiry job that would disturb, and yield its port and its worker."""
    port = processes.free_port()
    log = FOLDER / f"serve-{port}.log"
    with processes.running(command, settings | {"SMP_PORT": str(port), "SMP_SWEEP_INTERVAL_S": "0"}, log) as process:
        processes.wait_for_answer(process, port, ready)
        yield port, processes.worker_of(process)
    log.unlink()


def _section(bench: Bench, trips: float, ours: _Target, theirs: _Target, layers: Sequence[Layer]) -> Section:
    rates = [one.per_second for one in ours.rounds], [one.per_second for one in theirs.rounds]
    cpu = middle(ours.cpu_us)
    figures = (
        Figure("access check: round trips to PostgreSQL", trips, Unit.COUNT, at_most(2)),
        Figure(
            "access check: requests per second, ratio to an empty handler",
            ratio_of_pairs(*rates),
            target=at_least(0.12),
        ),
        Figure("access checks", middle(rates[0]), Unit.PER_SECOND),
        Figure("empty handler", middle(rates[1]), Unit.PER_SECOND),
        Figure("access check: median time", middle([one.p50_ms for one in ours.rounds]), Unit.MILLISECONDS),
        Figure("access check: 99th percentile", middle([one.p99_ms for one in ours.rounds]), Unit.MILLISECONDS),
        Figure("access check: processor time of the worker", cpu, Unit.MICROSECONDS),
        Figure("empty handler: processor time of the worker", middle(theirs.cpu_us), Unit.MICROSECONDS),
        Figure("access check: processor time of PostgreSQL", middle(ours.backends_us), Unit.MICROSECONDS),
    )
    how = _HOW.format(path=PATH, sessions=_SESSIONS, subscriptions=bench.scale.platform, loader=load.loader())
    return Section(NAME, "Access check", how, figures, (_table(layers, cpu),))


def _table(layers: Sequence[Layer], whole_us: float) -> Table:
    """Return each layer with the time that it adds to the layer inside it."""
    rows = []
    inside = 0.0
    for layer in (*layers, Layer("Granian, the event loop under load, and HTTP itself", whole_us)):
        added = max(layer.cpu_us - inside, 0.0)
        inside = max(layer.cpu_us, inside)
        rows.append((layer.name, f"{added:.1f}", f"{100 * added / whole_us:.0f} %"))
    rows.append(("total", f"{whole_us:.1f}", "100 %"))
    title = "Where the worker's processor time goes, from the inside out"
    return Table(title, ("layer", "µs per check", "share"), tuple(rows))
