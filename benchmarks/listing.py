"""The administrators' list with every filter, page 1 and page 10,000, at two sizes; and the statistics."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import chain, combinations, product
from time import perf_counter
from typing import Any, Final

import asyncpg

from benchmarks import datasets
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Section, Table, Unit, at_most, middle
from benchmarks.processes import Failed
from benchmarks.recording import Journal, RecordingPool
from benchmarks.scenarios import COMMON_PLAN, ENDLESS_PLAN, NOW, RARE_PLAN
from smp.adapters.postgres.pool import create_pool
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.adapters.postgres.replica_reads import ReplicaReads
from smp.adapters.postgres.statistics_reader import PostgresStatisticsReader
from smp.adapters.postgres.subscription_reader import PostgresSubscriptionReader
from smp.application.paging import LIMIT_DEFAULT, PageRequest
from smp.application.ports.subscription_reader import SubscriptionFilter, SubscriptionPosition
from smp.application.queries.get_statistics import ENDING_WITHIN
from smp.domain.subscription.lifecycle import Status

NAME: Final = "listing"
PAGE: Final = 10_000

_Request = PageRequest[SubscriptionPosition]

_SAME: Final = 1.25
_TWICE: Final = 2.0
_STATISTICS_MS: Final = 300
_STATISTICS_RUNS: Final = 15
_SHOWN: Final = 10
_MEASURED_SMALL: Final = 10_000

_HOW: Final = """
Every combination of the list's filters ({filters}: each set of statuses; without a plan, with a common plan, a rare
one and one for life; with and without bounds on the end; and those with a user or an email) is requested through the
PostgreSQL reader, {limit} items for each page, with {small:,} and with {large:,} subscriptions. "Page {page:,}" is
that page, or the last page if a filter has fewer. A time is the median of {samples} runs in turns. The table shows
the worst filters.

Few and many subscriptions are compared only where both pages have the same number of items, because a page of three
items always costs less than one of fifty. Times vary, so the table also has the number of blocks of 8 KiB that
PostgreSQL reads for a page, by its own count. Statistics are requested with {large:,} subscriptions, and with only
the live ones of these.
"""

_PLANNED: Final = (
    "PostgreSQL reads no more blocks, as the table shows. But with few subscriptions it keeps one plan for a prepared"
    " statement; with many it makes a plan for the values at each execution, which takes half a millisecond"
)

# The list by its definition, without optimization: the subscriptions that a filter selects, in order.
_BY_DEFINITION: Final = """
    WITH shown AS (
        SELECT id, ends_at, plan_id, user_id,
               CASE WHEN status IN ('trial', 'active') AND ends_at <= $1
               THEN CASE WHEN cancel_at IS NULL THEN 'expired' ELSE 'cancelled' END ELSE status END AS status
        FROM subscriptions
    ), wanted AS (
        SELECT id, ends_at FROM shown
        WHERE ($2::text[] = '{{}}' OR status = ANY ($2))
        AND ($3::text IS NULL OR plan_id = (SELECT id FROM plans WHERE code = $3))
        AND ($4::uuid IS NULL OR user_id = $4)
        AND ($5::text IS NULL OR user_id = (SELECT id FROM users WHERE email_key = $5))
        AND ($6::timestamptz IS NULL OR ends_at >= $6) AND ($7::timestamptz IS NULL OR ends_at < $7)
    )
    SELECT ends_at, id FROM wanted ORDER BY {order}
    OFFSET (SELECT greatest(least(count(*), $8) - $9 - 1, 0) FROM wanted) LIMIT 1 + $9
"""


@dataclass(frozen=True, slots=True)
class _Costs:
    """The costs of one filter: medians in milliseconds, the items of page 1, and the blocks that a page reads."""

    name: str
    small_items: int
    first_items: int
    small_ms: float
    first_ms: float
    deep_ms: float
    first_blocks: int
    deep_blocks: int

    @property
    def deep_ratio(self) -> float:
        """The time of page 10,000, divided by that of page 1."""
        return self.deep_ms / self.first_ms

    @property
    def is_alike(self) -> bool:
        """True if page 1 has the same number of items with few subscriptions as with many."""
        return self.small_items == self.first_items

    @property
    def size_ratio(self) -> float:
        """The time of a page with many subscriptions, divided by that with few."""
        return self.first_ms / self.small_ms


@dataclass(frozen=True, slots=True)
class _Source:
    """A database from which lists are read."""

    reader: PostgresSubscriptionReader
    journal: Journal
    connection: asyncpg.Connection[Any]


async def run(bench: Bench) -> Section:
    """Measure lists and statistics."""
    scale = bench.scale
    async with AsyncExitStack() as stack:
        small = await _source(bench, min(_MEASURED_SMALL, scale.platform), stack)
        large = await _source(bench, scale.platform, stack)
        filters = list(_filters(await large.connection.fetchrow("SELECT id, email FROM users LIMIT 1")))
        costs = []
        for number, wanted in enumerate(filters):
            if number % 20 == 0:
                bench.progress.step(f"filter {number + 1} of {len(filters)}")
            costs.append(await _costs(small, large, wanted, scale.samples))
    bench.progress.step("statistics")
    statistics = await _statistics(bench)
    how = _HOW.format(
        filters=len(filters),
        limit=LIMIT_DEFAULT,
        small=_MEASURED_SMALL,
        large=scale.platform,
        page=PAGE,
        samples=scale.samples,
    )
    figures = (*_figures(costs), *statistics)
    return Section(NAME, "Lists and statistics", how, figures, (_table(costs),))


async def _source(bench: Bench, size: int, stack: AsyncExitStack) -> _Source:
    database = await bench.datasets.database(datasets.PLATFORM, size)
    journal = Journal()
    pool = RecordingPool(await create_pool(bench.server.url(database), PoolSettings(size=1)), journal)
    stack.push_async_callback(pool.close)
    connection = await stack.enter_async_context(bench.server.connection(database))
    return _Source(PostgresSubscriptionReader(pool, ReplicaReads(pool)), journal, connection)


def _filters(user: asyncpg.Record | None) -> Iterator[SubscriptionFilter]:
    if user is None:
        raise Failed("there are no users")
    subsets = chain.from_iterable(combinations(Status, size) for size in range(len(Status) + 1))
    bounds = (None, NOW - timedelta(days=400)), (None, NOW + timedelta(days=400))
    ends = [(after, before) for after, before in product(*bounds)]
    for statuses, plan, (after, before) in product(subsets, (None, COMMON_PLAN, RARE_PLAN, ENDLESS_PLAN), ends):
        yield SubscriptionFilter(frozenset(statuses), plan, ends_after=after, ends_before=before)
    for statuses, plan, (after, before) in product(((), (Status.ACTIVE,)), (None, COMMON_PLAN), ends):
        wanted = SubscriptionFilter(frozenset(statuses), plan, ends_after=after, ends_before=before)
        yield replace(wanted, user_id=user["id"])
        yield replace(wanted, email=user["email"])


async def _costs(small: _Source, large: _Source, wanted: SubscriptionFilter, samples: int) -> _Costs:
    first: _Request = PageRequest()
    deep = await _deep(large, wanted)
    asked = ((small, first), (large, first), (large, deep))
    times: list[list[float]] = [[] for _ in asked]
    for source, page in asked:
        # PostgreSQL plans a prepared statement again for each of its first five executions.
        for _ in range(6):
            await source.reader.list(wanted, page, NOW)
    for _ in range(samples):
        for (source, page), taken in zip(asked, times, strict=True):
            taken.append(await _elapsed_ms(partial(source.reader.list, wanted, page, NOW)))
    few, many = [len((await source.reader.list(wanted, first, NOW)).items) for source in (small, large)]
    blocks = [await _blocks(large, wanted, page) for page in (first, deep)]
    few_ms, many_ms, deep_ms = (middle(taken) for taken in times)
    return _Costs(_name(wanted), few, many, few_ms, many_ms, deep_ms, blocks[0], blocks[1])


async def _deep(source: _Source, wanted: SubscriptionFilter) -> _Request:
    """The request for page 10,000, or the last; checked against the list by its definition."""
    query = _BY_DEFINITION.format(order="ends_at, id" if wanted.by_planned_end else "id DESC")
    statuses = [status.value for status in wanted.statuses]
    values = (NOW, statuses, wanted.plan, wanted.user_id, wanted.email, wanted.ends_after, wanted.ends_before)
    rows = await source.connection.fetch(query, *values, PAGE * LIMIT_DEFAULT, LIMIT_DEFAULT)
    if len(rows) <= LIMIT_DEFAULT:
        return PageRequest()
    position, *page = ((row["ends_at"] if wanted.by_planned_end else None, row["id"]) for row in rows)
    request = PageRequest(after=position)
    found = await source.reader.list(wanted, request, NOW)
    if [item.id for item in found.items] != [id_ for _, id_ in page]:
        raise Failed(f"{_name(wanted)}: page {PAGE} differs from the definition of the list")
    return request


async def _blocks(source: _Source, wanted: SubscriptionFilter, page: _Request) -> int:
    """Return the number of blocks that PostgreSQL reads, from its buffers or not, for the statements of this page."""
    source.journal.take()
    await source.reader.list(wanted, page, NOW)
    blocks = 0
    for sent in source.journal.take():
        plan = await source.connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sent.sql}", *sent.values)
        root = json.loads(plan)[0]["Plan"]
        blocks += root["Shared Hit Blocks"] + root["Shared Read Blocks"]
    return blocks


async def _statistics(bench: Bench) -> Sequence[Figure]:
    scale = bench.scale
    names = [await bench.datasets.database(kind, scale.platform) for kind in (datasets.PLATFORM, datasets.LIVE)]
    async with AsyncExitStack() as stack:
        readers = []
        for name in names:
            pool = await create_pool(bench.server.url(name), PoolSettings(size=1))
            stack.push_async_callback(pool.close)
            readers.append(PostgresStatisticsReader(ReplicaReads(pool)))
        times: list[list[float]] = [[], []]
        for _ in range(_STATISTICS_RUNS):
            for reader, taken in zip(readers, times, strict=True):
                taken.append(await _elapsed_ms(partial(reader.figures, NOW, NOW + ENDING_WITHIN)))
    all_ms, live_ms = (middle(taken) for taken in times)
    return (
        Figure(f"statistics of {scale.platform:,}", all_ms, Unit.MILLISECONDS, at_most(_STATISTICS_MS)),
        Figure("statistics: with ended subscriptions, ratio to without", all_ms / live_ms, target=at_most(_SAME)),
    )


def _figures(costs: Sequence[_Costs]) -> Sequence[Figure]:
    deep = [one.deep_ratio for one in costs]
    size = [one.size_ratio for one in costs if one.is_alike]
    return (
        Figure(f"list: page {PAGE:,}, ratio to page 1, median of the filters", middle(deep), target=at_most(_SAME)),
        Figure(f"list: page {PAGE:,}, ratio to page 1, worst filter", max(deep), target=at_most(_TWICE)),
        Figure(
            "list: many subscriptions, ratio to few, worst filter",
            max(size),
            target=at_most(_TWICE),
            reason=_PLANNED,
        ),
        Figure("list: many subscriptions, ratio to few, median", middle(size)),
        Figure(
            "list: a page with many subscriptions, median", middle([one.first_ms for one in costs]), Unit.MILLISECONDS
        ),
        Figure(
            "list: a page with many subscriptions, worst filter", max(one.first_ms for one in costs), Unit.MILLISECONDS
        ),
        Figure(
            f"list: blocks of page {PAGE:,}, ratio to page 1, worst filter",
            max(one.deep_blocks / one.first_blocks for one in costs),
        ),
    )


def _table(costs: Sequence[_Costs]) -> Table:
    alike = [one for one in costs if one.is_alike]
    worst = sorted(alike, key=lambda one: max(one.deep_ratio, one.size_ratio), reverse=True)[:_SHOWN]
    rows = tuple(
        (
            one.name,
            f"{one.small_ms:.2f}",
            f"{one.first_ms:.2f}",
            f"{one.deep_ms:.2f}",
            f"{one.first_blocks:,}",
            f"{one.deep_blocks:,}",
        )
        for one in worst
    )
    columns = (
        "filter",
        "few, page 1: ms",
        "many, page 1: ms",
        f"many, page {PAGE:,}: ms",
        "blocks",
        f"page {PAGE:,}: blocks",
    )
    return Table("The filters with the greatest ratios", columns, rows)


def _name(wanted: SubscriptionFilter) -> str:
    """Return the filter as a query string."""
    parts = [f"status={status.value}" for status in Status if status in wanted.statuses]
    if wanted.plan is not None:
        parts.append(f"plan={wanted.plan}")
    parts += [
        name
        for name, value in (
            ("user_id", wanted.user_id),
            ("email", wanted.email),
            ("ends_after", wanted.ends_after),
            ("ends_before", wanted.ends_before),
        )
        if value is not None
    ]
    return "&".join(parts) or "none"


async def _elapsed_ms(ask: Callable[[], Awaitable[object]]) -> float:
    started = perf_counter()
    await ask()
    return (perf_counter() - started) * 1000
