"""A streaming standby serves the lists and nothing else; without it, the primary serves them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

import pytest
from dishka import Provider, Scope

from smp.adapters.postgres.pool import PostgresPool, create_pool
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.adapters.postgres.replica_reads import ReadSource, ReplicaLimits, ReplicaReads, ReplicaReadsObserver
from smp.adapters.postgres.statements import sql
from smp.adapters.postgres.unit_of_work import PostgresUnitOfWorkFactory
from smp.application.errors import StorageUnavailable
from smp.bootstrap.doctor import diagnose
from smp.domain.errors import StorageIntegrityError
from tests.support.builders import a_user
from tests.support.http_platform import serving
from tests.support.replication import Cluster, running_cluster

IMPATIENT: Final = ReplicaLimits(lag_s=0.8, probe_every_s=0.05, probe_timeout_s=0.5, cooldown_s=0.3)
LISTS: Final = ("/v1/subscriptions?status=active", "/v1/subscriptions?status=expired", "/v1/users", "/v1/statistics")
NOWHERE: Final = "postgresql://postgres@127.0.0.1:1/postgres"
KEPT: Final = sql("SELECT coalesce(max(n), 0) FROM numbers")
HOLD_STILL: Final = sql("SELECT count(*) FROM numbers, pg_sleep(CAST(:seconds AS float8))")


class RecordedReads(ReplicaReadsObserver):
    """An observer that counts reads by their source."""

    def __init__(self) -> None:
        self.reads: Counter[ReadSource] = Counter()
        self.lag_s: float | None = None

    def read(self, source: ReadSource) -> None:
        """Count the read."""
        self.reads[source] += 1

    def seen(self, lag_s: float | None) -> None:
        """Record the observation."""
        self.lag_s = lag_s


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Return a primary and its standby, with a table for numbers."""
    with running_cluster() as cluster:
        cluster.on_primary("CREATE TABLE numbers (n bigint NOT NULL)")
        yield cluster


@pytest.fixture
async def primary(cluster: Cluster) -> AsyncIterator[PostgresPool]:
    """Return a pool for the primary."""
    pool = await create_pool(cluster.primary_url)
    yield pool
    await pool.close()


@asynccontextmanager
async def reading(
    primary: PostgresPool, url: str, limits: ReplicaLimits = IMPATIENT
) -> AsyncIterator[tuple[ReplicaReads, RecordedReads]]:
    """Reads with the replica at ``url``, which is probed regularly."""
    recorded = RecordedReads()
    replica = await create_pool(url, PoolSettings(size=4, read_only=True, application_name="smp replica"))
    async with ReplicaReads(primary, replica, limits, recorded).watching() as reads:
        yield reads, recorded
    await replica.close()


async def until_read_from(
    reads: ReplicaReads, recorded: RecordedReads, source: ReadSource = ReadSource.REPLICA
) -> None:
    """Read until a read has this source; every read must succeed."""
    deadline, before = monotonic() + 15, recorded.reads[source]
    while recorded.reads[source] == before:
        await reads.row(KEPT)
        await asyncio.sleep(0.02)
        assert monotonic() < deadline, recorded.reads


async def greatest(reads: ReplicaReads) -> int:
    """Return the greatest number that a read sees."""
    row = await reads.row(KEPT)
    assert row is not None
    return int(row[0])


async def test_only_lists_and_statistics_are_read_from_the_replica(cluster: Cluster) -> None:
    before = len(cluster.statements_of_standby())
    recorded = RecordedReads()
    observing = Provider(scope=Scope.APP)
    observing.provide(lambda: recorded, provides=ReplicaReadsObserver, override=True)
    async with serving(cluster.primary_url, observing, SMP_DATABASE_REPLICA_URL=cluster.standby_url) as platform:
        lists = await platform.container.get(ReplicaReads)
        ann, admin = await platform.registered("ann@example.com"), await platform.signed_in()
        await platform.offer()
        await ann.post("/v1/me/subscription/trial", json={"plan": "pro"})
        await ann.post("/v1/me/subscription/activate", json={"plan": "pro"})
        await lists.probe()
        await until_read_from(lists, recorded)
        recorded.reads.clear()
        for path in (
            "/v1/subscriptions?status=active",
            "/v1/subscriptions?status=expired",
            "/v1/users",
            "/v1/statistics",
        ):
            assert (await admin.get(path)).status_code == 200
        assert set(recorded.reads) == {ReadSource.REPLICA}
        mine = (await ann.get("/v1/me/subscription")).json()
        for path in ("/v1/me/access/export", "/v1/me/subscriptions", f"/v1/subscriptions/{mine['id']}/events"):
            assert (await ann.get(path)).status_code == 200
        for path in (f"/v1/users/{mine['user_id']}", f"/v1/users/{mine['user_id']}/access", "/v1/plans?status=all"):
            assert (await admin.get(path)).status_code == 200
        assert (await ann.post("/v1/me/subscription/cancel", json={})).status_code == 200
        await platform.run_expiry_job()
    asked = cluster.statements_of_standby()[before:]
    assert "WITH page AS (SELECT * FROM (" in asked
    assert "FROM users WHERE email_key >=" in asked
    assert "FROM subscription_count_changes" in asked
    for never in (
        "INSERT",
        "UPDATE",
        "DELETE",
        "sessions",
        "idempotency_keys",
        "login_throttle",
        "BEGIN",
        "user_emails",
    ):
        assert never not in asked


async def test_the_service_is_ready_and_answers_without_its_replica(database_url: str) -> None:
    async with serving(database_url, SMP_DATABASE_REPLICA_URL=NOWHERE) as platform:
        admin = await platform.signed_in()
        for path in ("/v1/subscriptions", "/v1/users", "/v1/statistics", "/health/ready"):
            assert (await admin.get(path)).status_code == 200


async def test_smp_doctor_reports_the_age_of_the_replicas_data(cluster: Cluster) -> None:
    """Or that the replica cannot be used."""
    found = {}
    for url in (cluster.standby_url, NOWHERE):
        environ = {"SMP_DATABASE_URL": cluster.primary_url, "SMP_DATABASE_REPLICA_URL": url, "SMP_LOG_LEVEL": "error"}
        (check_result,) = [check_result for check_result in await diagnose(environ) if check_result.check == "replica"]
        found[url] = (check_result.ok, check_result.detail)
    assert found[cluster.standby_url][0], found
    assert "s old at most" in found[cluster.standby_url][1]
    assert found[NOWHERE] == (False, "does not answer, or does not follow the primary")


async def test_a_write_through_the_replicas_url_is_refused(cluster: Cluster) -> None:
    """Even if the URL is that of the primary by mistake."""
    pool = await create_pool(cluster.primary_url, PoolSettings(read_only=True))
    try:
        with pytest.raises(StorageUnavailable):
            await pool.run(sql("INSERT INTO numbers VALUES (-1)"))
    finally:
        await pool.close()


async def test_no_read_fails_while_the_replica_is_away_and_it_is_used_again_later(
    cluster: Cluster, primary: PostgresPool
) -> None:
    async with reading(primary, cluster.standby_url) as (reads, recorded):
        await until_read_from(reads, recorded)
        await asyncio.to_thread(cluster.stop_standby)
        recorded.reads.clear()
        for _ in range(20):
            await reads.row(KEPT)
        assert recorded.reads == {ReadSource.AWAY: 20}
        assert recorded.lag_s is None
        await asyncio.to_thread(cluster.start_standby)
        await until_read_from(reads, recorded)
        assert recorded.lag_s is not None


async def test_a_replica_that_lags_too_far_is_not_used_until_it_has_caught_up(
    cluster: Cluster, primary: PostgresPool
) -> None:
    async with reading(primary, cluster.standby_url) as (reads, recorded):
        number = await greatest(reads) + 1
        await until_read_from(reads, recorded)
        cluster.on_standby("SELECT pg_wal_replay_pause()")
        try:
            while cluster.on_standby("SELECT pg_get_wal_replay_pause_state()") != "paused":
                await asyncio.sleep(0.02)
            written_at = monotonic()
            cluster.on_primary(f"INSERT INTO numbers VALUES ({number})")  # noqa: S608 - a number
            stale = 0
            while await greatest(reads) < number:
                stale += 1
                assert monotonic() < written_at + IMPATIENT.lag_s + 0.2
                await asyncio.sleep(0.02)
            assert stale > 0
            assert recorded.reads[ReadSource.BEHIND] > 0
            await asyncio.sleep(0.1)
            assert recorded.lag_s is not None
            assert recorded.lag_s > IMPATIENT.lag_s
        finally:
            cluster.on_standby("SELECT pg_wal_replay_resume()")
        await until_read_from(reads, recorded)
        assert await greatest(reads) == number


async def test_an_idle_primary_does_not_make_the_replica_look_late(cluster: Cluster, primary: PostgresPool) -> None:
    """The age of the last replayed transaction would."""
    async with reading(primary, cluster.standby_url) as (reads, recorded):
        await until_read_from(reads, recorded)
        await asyncio.sleep(2 * IMPATIENT.lag_s)
        recorded.reads.clear()
        for _ in range(5):
            await reads.row(KEPT)
        assert recorded.reads == {ReadSource.REPLICA: 5}


async def test_a_read_that_replay_cancels_is_repeated_on_the_primary(cluster: Cluster, primary: PostgresPool) -> None:
    """The standby cancels reads that conflict with replay (40001); the caller gets no error."""
    limits = ReplicaLimits(lag_s=10, probe_every_s=0.05)
    cluster.on_primary("INSERT INTO numbers VALUES (0)")
    async with reading(primary, cluster.standby_url, limits) as (reads, recorded):
        await until_read_from(reads, recorded)
        recorded.reads.clear()
        asked = asyncio.create_task(reads.row(HOLD_STILL, seconds=1.0))
        await asyncio.sleep(0.2)
        cluster.on_primary(
            "ALTER TABLE numbers ALTER n SET STATISTICS 10", "TRUNCATE numbers", "INSERT INTO numbers VALUES (1)"
        )
        row = await asked
        assert row is not None
        assert row[0] == 1
        assert recorded.reads == {ReadSource.CONFLICT: 1}
        await until_read_from(reads, recorded)


async def test_a_read_that_needs_a_newer_schema_than_the_replicas_goes_to_the_primary(
    cluster: Cluster, primary: PostgresPool
) -> None:
    """A migration reaches the replica a moment later."""
    limits = ReplicaLimits(lag_s=10, probe_every_s=0.05)
    async with reading(primary, cluster.standby_url, limits) as (reads, recorded):
        await until_read_from(reads, recorded)
        cluster.on_standby("SELECT pg_wal_replay_pause()")
        try:
            cluster.on_primary("CREATE TABLE newest (n bigint)", "INSERT INTO newest VALUES (7)")
            row = await reads.row(sql("SELECT n FROM newest"))
            assert row is not None
            assert row[0] == 7
            with pytest.raises(StorageIntegrityError):
                await reads.row(sql("SELECT n FROM never_made"))
        finally:
            cluster.on_standby("SELECT pg_wal_replay_resume()")


async def test_without_the_replica_lists_use_few_connections_of_the_primary(
    primary: PostgresPool, cluster: Cluster
) -> None:
    """The others stay free for access checks. A list that gets no connection in time is refused."""
    limits = ReplicaLimits(max_concurrency=2, wait_s=0.1)
    async with reading(primary, NOWHERE, limits) as (reads, recorded):
        await reads.probe()
        asked = [asyncio.create_task(reads.row(HOLD_STILL, seconds=0.6)) for _ in range(6)]
        await asyncio.sleep(0.3)
        assert primary.in_use == 2
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, StorageUnavailable) for answer in answers) == 4
    assert set(recorded.reads) == {ReadSource.AWAY}


async def test_writes_are_refused_while_the_primary_is_read_only_and_work_afterwards(cluster: Cluster) -> None:
    """Reads still work, and no connection stays in a bad state (25006)."""
    pool = await create_pool(cluster.primary_url)
    users = PostgresUnitOfWorkFactory(pool)
    try:
        await add_user(users, "before")
        cluster.on_primary("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        try:
            with pytest.raises(StorageUnavailable):
                await add_users(users)  # the setting reaches a connection a moment later
            assert await pool.row(KEPT) is not None
        finally:
            cluster.on_primary("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
        await retry_until_added(users, "after")
    finally:
        await pool.close()


async def test_of_several_hosts_the_one_that_is_currently_the_primary_is_used() -> None:
    """A standby is skipped; after its promotion, writes go there."""
    with running_cluster() as pair:
        pool = await create_pool(pair.url_of_both)
        users = PostgresUnitOfWorkFactory(pool)
        try:
            await add_user(users, "before")
            assert pair.on_standby("SELECT pg_is_in_recovery()") is True
            await asyncio.to_thread(pair.stop_primary)
            with pytest.raises(StorageUnavailable):
                await add_user(users, "between")
            await asyncio.to_thread(pair.promote_standby)
            await retry_until_added(users, "after")
            written = await pool.rows(sql("SELECT email FROM users ORDER BY email"))
            assert [row["email"] for row in written] == ["after@example.com", "before@example.com"]
        finally:
            await pool.close()


async def add_user(users: PostgresUnitOfWorkFactory, name: str) -> None:
    """Add a user."""
    async with users() as work:
        await work.users.add(a_user(f"{name}@example.com"))
        await work.commit()


async def add_users(users: PostgresUnitOfWorkFactory) -> None:
    """Add a hundred users, one after the other."""
    for number in range(100):
        await add_user(users, f"during-{number}")


async def retry_until_added(users: PostgresUnitOfWorkFactory, name: str) -> None:
    """Retry as a client does."""
    deadline = monotonic() + 10
    while True:
        try:
            await add_user(users, name)
        except StorageUnavailable:
            assert monotonic() < deadline
            await asyncio.sleep(0.05)
        else:
            return
