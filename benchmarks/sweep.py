"""The expiry job: subscriptions that ``smp expire`` ends per second, compared with one SQL statement."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from benchmarks import datasets, processes, scenarios
from benchmarks.bench import Bench
from benchmarks.figures import MIB, Figure, Section, Table, Unit, at_least, at_most, middle, ratio_of_pairs
from benchmarks.server import FOLDER

NAME: Final = "sweep"

_COPY: Final = "bench_swept"
_PEAK_MIB: Final = 200
_GROWTH: Final = 1.1
_RATE: Final = 20_000
_NEAR: Final = 0.6

_ONE_STATEMENT: Final = """
    WITH ended AS (
        UPDATE subscriptions
        SET status = CASE WHEN cancel_at IS NULL THEN 'expired' ELSE 'cancelled' END, ended_at = ends_at,
            cancelled_at = cancel_at, version = version + 1
        WHERE status IN ('trial', 'active') AND ends_at <= $1
        RETURNING *
    )
    INSERT INTO event_log (
        shard_key, id, user_id, subject_id, version, type, occurred_at, recorded_at, actor_type, actor_id, data
    )
    SELECT user_id, gen_random_uuid(), user_id, id, version, 'subscription.' || status, ends_at, $1, 'system', NULL,
           jsonb_build_object(
               'plan_id', plan_id, 'revision', revision, 'status', status, 'starts_at', starts_at, 'ends_at', ends_at,
               'cancel_at', cancel_at, 'ended_at', ended_at
           )
    FROM ended
"""

# A digest of everything that both ways write, except the ids of events and the format of instants in JSON.
_LEFT_BEHIND: Final = """
    SELECT sum(hashtextextended(concat_ws('|', s.user_id, s.id, s.status, s.ended_at, s.cancelled_at, s.cancel_at,
                                          s.version, e.type, e.occurred_at, e.actor_type, e.actor_id,
                                          e.data ->> 'status',
                                          CAST(e.data ->> 'ended_at' AS timestamptz)), 0))
    FROM subscriptions AS s
    JOIN event_log AS e ON e.shard_key = s.user_id AND e.subject_id = s.id AND e.version = s.version
"""

_HOW: Final = """
`smp expire` runs as a separate process, as cron starts it, on databases in which {small:,} and {large:,}
subscriptions are overdue. A rate includes everything except the start of Python. The one statement (below) ends the
same subscriptions and writes the same events in one transaction, without locking rows, without domain code and
without reporting progress. The rows that both leave in the tables are compared. They run in turns on fresh copies of
one database, and the ratio is the median of the ratios of neighbouring rounds. Memory is the greatest resident size
of the process, as the kernel counts it.
"""


@dataclass(slots=True)
class _Sweeps:
    """All runs for one size: subscriptions per second by SMP and by the statement, and the costs of SMP's runs.

    Peaks are in bytes. Processor time is in microseconds per subscription, of the process and of all of PostgreSQL.
    """

    due: int
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    database_us: list[float] = field(default_factory=list)


async def run(bench: Bench) -> Section:
    """Measure the expiry job."""
    small = await _sweeps(bench, bench.scale.due_small, max(bench.scale.rounds - 2, 1))
    large = await _sweeps(bench, bench.scale.due_large, 1)
    await bench.server.drop(_COPY)
    peak = max(large.peaks) / MIB
    name = f"sweep of {large.due:,}"
    figures = (
        Figure(name, middle(large.ours), Unit.PER_SECOND, at_least(_RATE), _limit(large)),
        Figure(f"sweep of {small.due:,}", middle(small.ours), Unit.PER_SECOND, at_least(_RATE), _limit(small)),
        Figure(f"sweep of {small.due:,}: ratio to one SQL statement", _ratio(small), target=at_least(0.25)),
        Figure(f"{name}: ratio to one SQL statement", _ratio(large), target=at_least(0.25)),
        Figure(f"one SQL statement, {large.due:,}", middle(large.theirs), Unit.PER_SECOND),
        Figure(f"{name}: processor time of SMP, for each", middle(large.cpu_us), Unit.MICROSECONDS),
        Figure(f"{name}: processor time of PostgreSQL, for each", middle(large.database_us), Unit.MICROSECONDS),
        Figure(f"{name}: greatest memory", peak, Unit.MIBIBYTES, at_most(_PEAK_MIB)),
        Figure(
            f"{name}: memory, ratio to a sweep of {small.due:,}", peak * MIB / max(small.peaks), target=at_most(_GROWTH)
        ),
    )
    how = _HOW.format(small=small.due, large=large.due)
    statement = Table("The one statement", ("SQL",), ((f"`{' '.join(_ONE_STATEMENT.split())}`",),))
    return Section(NAME, "Sweep", how, figures, (statement,))


def _ratio(sweeps: _Sweeps) -> float:
    return ratio_of_pairs(sweeps.ours, sweeps.theirs)


def _limit(sweeps: _Sweeps) -> str:
    """Return the reason for a missed target if PostgreSQL itself is the limit, otherwise an empty text."""
    if _ratio(sweeps) < _NEAR:
        return ""
    return (
        f"the one statement of PostgreSQL ends {middle(sweeps.theirs):,.0f} per second on this machine; the sweep"
        f" reaches {_ratio(sweeps):.2f} of that, including its start of half a second"
    )


async def _sweeps(bench: Bench, due: int, rounds: int) -> _Sweeps:
    source = await bench.datasets.database(datasets.DUE, due)
    sweeps = _Sweeps(due)
    for number in range(rounds):
        turn = f"{due:,} due, round {number + 1} of {rounds}"
        bench.progress.step(f"{turn}: smp expire")
        await bench.server.copy(source, _COPY)
        ours = await _expire(bench, sweeps)
        bench.progress.step(f"{turn}: one statement")
        await bench.server.copy(source, _COPY)
        theirs = await _one_statement(bench, sweeps)
        if ours != theirs:
            raise processes.Failed("the sweep and the one statement did not do the same work")
    return sweeps


async def _expire(bench: Bench, sweeps: _Sweeps) -> int:
    """Run ``smp expire``, and return a digest of the rows."""
    command = processes.python("smp.bootstrap", "expire", "--json")
    settings = bench.server.settings(_COPY)
    database_cpu_s = bench.server.cpu_s()
    done = await asyncio.to_thread(processes.run, command, settings, FOLDER / "expire.log")
    report = json.loads(done.output)
    if report["expired"] + report["cancelled"] != sweeps.due or report["failed"]:
        raise processes.Failed(f"smp expire reported {report}")
    sweeps.ours.append(sweeps.due / report["elapsed_s"])
    sweeps.peaks.append(done.peak_bytes)
    sweeps.cpu_us.append(done.cpu_s / sweeps.due * 1e6)
    sweeps.database_us.append((bench.server.cpu_s() - database_cpu_s) / sweeps.due * 1e6)
    return await _left_behind(bench)


async def _one_statement(bench: Bench, sweeps: _Sweeps) -> int:
    """Run the statement, and return a digest of the rows."""
    async with bench.server.connection(_COPY) as connection:
        started = perf_counter()
        await connection.execute(_ONE_STATEMENT, scenarios.DUE_SINCE)
        sweeps.theirs.append(sweeps.due / (perf_counter() - started))
    return await _left_behind(bench)


async def _left_behind(bench: Bench) -> int:
    return int(await bench.server.value(_LEFT_BEHIND, database=_COPY))
