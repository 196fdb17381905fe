"""Activation: the whole transaction of a use case, compared with pgbench, which runs the same statements."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from time import perf_counter, process_time
from typing import Final
from uuid import UUID

from dishka import AsyncContainer, Provider, Scope, provide

from benchmarks import replay, scenarios
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, Table, Unit, at_least, middle, ratio_of_pairs
from benchmarks.recording import Journal, RecordingPool, Sent
from benchmarks.replay import Script, key_of, numbered_uuid
from smp.adapters.postgres.pool import PostgresPool, create_pool
from smp.adapters.postgres.pool_settings import (
    IDLE_IN_TRANSACTION_TIMEOUT_MS,
    LOCK_TIMEOUT_MS,
    STATEMENT_TIMEOUT_MS,
    PoolSettings,
)
from smp.adapters.postgres.statements import set_codecs
from smp.application.caller import ALL_SCOPES, Caller
from smp.application.commands.activate_subscription import ActivateSubscription
from smp.application.commands.start_trial import StartTrial
from smp.application.execution import Handler
from smp.application.idempotency import IdempotencyKey
from smp.application.outcomes import SubscriptionOutcome
from smp.application.ports.clock import Clock
from smp.bootstrap.container import build_container
from smp.bootstrap.settings import load_settings
from smp.domain.events import Actor, ActorType

NAME: Final = "activation"
CLIENTS: Final = (1, 8)

_PLAN: Final = scenarios.COMMON_PLAN
_TPS: Final = re.compile(r"^tps = ([0-9.]+) \(without", re.MULTILINE)
_FAILED: Final = re.compile(r"^number of failed transactions: ([0-9]+)", re.MULTILINE)
_TIMEOUT_S: Final = 300.0
_OPTIONS: Final = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "statement_timeout": STATEMENT_TIMEOUT_MS,
        "lock_timeout": LOCK_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT_MS,
    }.items()
)

_HOW: Final = """
Users who never subscribed activate a plan with a price (`activate`: it writes the subscription, its span, an event
and the stored outcome) or start its trial (`trial`: it also writes a row of the trial ledger). Each request has an
`Idempotency-Key` and goes through the use case handlers of one process, from the container. Every commit is flushed
to disk. pgbench (`-M prepared`, one thread, the same number of connections) runs the same statements: its script is
made from a recording of what the adapter sends for two users, so the two cannot differ. Both run the same number of
transactions on new users of the same database, in turns, and a ratio is the median of the ratios of neighbouring
rounds.
"""


@dataclass(frozen=True, slots=True)
class _UseCase:
    """A use case that the user with a number runs; ``what`` describes it."""

    name: str
    what: str
    run: Callable[[AsyncContainer, int], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class _Compared:
    """All rounds of a use case with a number of clients: transactions per second, and SMP's processor time for one."""

    ours: Sequence[float]
    theirs: Sequence[float]
    cpu_us: Sequence[float]


async def run(bench: Bench) -> Section:
    """Measure activations and trials."""
    counter = _Counter()
    wanted = len(_USE_CASES) * (
        2 + len(CLIENTS) * (bench.scale.rounds * 2 * bench.scale.transactions + 2 * max(CLIENTS))
    )
    bench.progress.step(f"making {wanted:,} users")
    people = list(scenarios.registered(range(1, wanted + 1), numbered_uuid))
    database = await bench.datasets.empty(NAME, people)
    figures: list[Figure] = []
    tables: list[Table] = []
    for use_case in _USE_CASES:
        script, sent = await _recorded(bench, database, use_case, counter)
        tables.append(_statements(use_case, sent))
        for clients in CLIENTS:
            compared = await _compare(bench, database, use_case, script, clients, counter)
            figures += _figures(use_case, clients, compared)
    await bench.server.drop(database)
    return Section(NAME, "Activation", _HOW, tuple(figures), tuple(tables))


class _Counter:
    """A counter that gives each user's number once."""

    def __init__(self) -> None:
        self._next = 1

    def take(self, count: int) -> range:
        """Return the next ``count`` numbers."""
        numbers = range(self._next, self._next + count)
        self._next += count
        return numbers


async def _recorded(
    bench: Bench, database: str, use_case: _UseCase, counter: _Counter
) -> tuple[Script, Sequence[Sent]]:
    """Return the script that does what the use case does, and the statements."""
    journal = Journal()
    recordings = []
    async with container_of(bench, database, 1, journal) as container:
        for number in counter.take(2):
            await use_case.run(container, number)
            recordings.append((number, journal.take()))
    async with bench.server.connection(database) as connection:
        await set_codecs(connection)
        return await replay.script_of(connection, *recordings), recordings[0][1]


async def _compare(
    bench: Bench, database: str, use_case: _UseCase, script: Script, clients: int, counter: _Counter
) -> _Compared:
    count = bench.scale.transactions
    ours, theirs, cpu_us = [], [], []
    async with container_of(bench, database, clients, None) as container:
        await _rate(container, use_case, clients, counter.take(2 * clients))
        for number in range(bench.scale.rounds):
            bench.progress.step(f"{use_case.name}, {clients} at once, round {number + 1} of {bench.scale.rounds}")
            rate, cpu = await _rate(container, use_case, clients, counter.take(count))
            ours.append(rate)
            cpu_us.append(cpu)
            theirs.append(await _pgbench(bench, database, script, clients, counter.take(count)))
    return _Compared(ours, theirs, cpu_us)


async def _rate(container: AsyncContainer, use_case: _UseCase, clients: int, numbers: range) -> tuple[float, float]:
    """Return transactions per second, and microseconds of SMP's processor time for one."""
    left = iter(numbers)

    async def client() -> None:
        for number in left:
            await use_case.run(container, number)

    began, cpu_began = perf_counter(), process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    return len(numbers) / (perf_counter() - began), (process_time() - cpu_began) / len(numbers) * 1e6


async def _pgbench(bench: Bench, database: str, script: Script, clients: int, numbers: range) -> float:
    """Return transactions per second, without the time to connect."""
    each = len(numbers) // clients
    with tempfile.NamedTemporaryFile("w", suffix=".sql", encoding="utf-8") as file:
        file.write(script.text)
        file.flush()
        output = await bench.server.pgbench(
            database,
            "--protocol=prepared",
            f"--client={clients}",
            "--jobs=1",
            f"--transactions={each}",
            f"--file={file.name}",
            f"--define=base={numbers.start - 1}",
            f"--define=each={each}",
            "--define=i=0",
            *script.arguments,
            options=_OPTIONS,
            timeout_s=_TIMEOUT_S,
        )
    rate, failed = _TPS.search(output), _FAILED.search(output)
    if rate is None or failed is None or int(failed[1]):
        raise RuntimeError(f"pgbench printed:\n{output}")
    return float(rate[1])


@asynccontextmanager
async def container_of(
    bench: Bench, database: str, clients: int, journal: Journal | None
) -> AsyncIterator[AsyncContainer]:
    """Yield the product's container with a connection for each client. A journal records all statements."""
    environ = bench.server.settings(database, SMP_DATABASE_POOL_SIZE=str(max(clients, 2)))
    settings = load_settings({name: value for name, value in environ.items() if name.startswith("SMP_")})
    pool = await create_pool(bench.server.url(database), PoolSettings(size=clients))

    class Given(Provider):
        scope = Scope.APP

        @provide(override=True)
        def pool(self) -> PostgresPool:
            return pool if journal is None else RecordingPool(pool, journal)

    container = build_container(settings, Given())
    try:
        yield container
    finally:
        await container.close()
        await pool.close()


def _figures(use_case: _UseCase, clients: int, compared: _Compared) -> list[Figure]:
    at_once = f"{use_case.name}, {clients} at once"
    return [
        Figure(f"{at_once}: ratio to pgbench", ratio_of_pairs(compared.ours, compared.theirs), target=at_least(0.5)),
        Figure(at_once, middle(compared.ours), Unit.PER_SECOND),
        Figure(f"{at_once}: pgbench", middle(compared.theirs), Unit.PER_SECOND),
        Figure(f"{at_once}: processor time of SMP", middle(compared.cpu_us), Unit.MICROSECONDS),
    ]


def _statements(use_case: _UseCase, sent: Sequence[Sent]) -> Table:
    rows = tuple((str(number + 1), _brief(one.sql)) for number, one in enumerate(sent))
    return Table(f"The statements of `{use_case.name}`: {use_case.what}", ("round trip", "statement"), rows)


def _brief(sql: str) -> str:
    words = " ".join(sql.split())
    return f"`{words}`" if len(words) <= 100 else f"`{words[:99]}…`"  # noqa: PLR2004 - a line's length


async def activate(container: AsyncContainer, number: int) -> object:
    """Activate the common plan for the user with this number."""
    handler, user_id = await container.get(Handler[ActivateSubscription, SubscriptionOutcome]), numbered_uuid(number)
    key = await _key(container, number)
    return await handler(ActivateSubscription(user_id, _PLAN, idempotency=key), _caller(user_id))


async def _start_trial(container: AsyncContainer, number: int) -> object:
    handler, user_id = await container.get(Handler[StartTrial, SubscriptionOutcome]), numbered_uuid(number)
    key = await _key(container, number)
    return await handler(StartTrial(user_id, _PLAN, idempotency=key), _caller(user_id))


def _caller(user_id: UUID) -> Caller:
    return Caller(Actor(ActorType.USER, user_id), ALL_SCOPES)


async def _key(container: AsyncContainer, number: int) -> IdempotencyKey:
    """Return the key that the HTTP adapter would make."""
    now = await (await container.get(Clock)).now()
    fingerprint = sha256(b"%d" % number).digest()
    return IdempotencyKey(f"user:{numbered_uuid(number)}", key_of(number), fingerprint, now)


_USE_CASES: Final = (
    _UseCase("activate", "a new paid subscription", activate),
    _UseCase("trial", "a trial, with its row of the ledger", _start_trial),
)
