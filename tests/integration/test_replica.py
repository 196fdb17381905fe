"""A streaming standby takes the lists off the primary, and nothing else; without it all goes on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

import pytest
from dishka import Provider, Scope

from smp.adapters.postgres.pool import PoolSettings, PostgresPool, create_pool
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
KEPT: Final = sql("SELECT coalesce(max(n), 0) FROM kept")
HOLD_STILL: Final = sql("SELECT count(*) FROM kept, pg_sleep(CAST(:seconds AS float8))")


class RecordedReads(ReplicaReadsObserver):
    """An observer that counts reads by their source."""

    def __init__(self) -> None:
        self.reads: Counter[ReadSource] = Counter()
        self.lag_s: float | None = None

    def read(self, source: ReadSource) -> None:
        """Count it."""
        self.reads[source] += 1

    def seen(self, lag_s: float | None) -> None:
        """Keep it."""
        self.lag_s = lag_s


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A primary and its standby, with a table to write numbers into."""
    with running_cluster() as cluster:
        cluster.on_primary("CREATE TABLE kept (n bigint NOT NULL)")
        yield cluster


@pytest.fixture
async def primary(cluster: Cluster) -> AsyncIterator[PostgresPool]:
    """A pool for the primary."""
    pool = await create_pool(cluster.primary_url)
    yield pool
    await pool.close()


@asynccontextmanager
async def reading(
    primary: PostgresPool, url: str, limits: ReplicaLimits = IMPATIENT
) -> AsyncIterator[tuple[ReplicaReads, RecordedReads]]:
    """Reads of the replica at ``url``, looked at all the time."""
    recorded = RecordedReads()
    replica = await create_pool(url, PoolSettings(size=4, read_only=True, application_name="smp replica"))
    async with ReplicaReads(primary, replica, limits, recorded).watching() as reads:
        yield reads, recorded
    await replica.close()


async def until_read_from(
    reads: ReplicaReads, recorded: RecordedReads, source: ReadSource = ReadSource.REPLICA
) -> None:
    """Until a read has this source; every one of them is answered."""
    deadline, before = monotonic() + 15, recorded.reads[source]
    while recorded.reads[source] == before:
        await reads.row(KEPT)
        await asyncio.sleep(0.02)
        assert monotonic() < deadline, recorded.reads


async def kept(reads: ReplicaReads) -> int:
    """The greatest number that is seen."""
    row = await reads.row(KEPT)
    assert row is not None
    return int(row[0])


async def test_lists_are_read_there_and_nothing_else(cluster: Cluster) -> None:
    """Of all that a platform is asked, the standby is asked for three lists; neither a write nor a session."""
    before = len(cluster.asked_of_standby())
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
        await platform.sweep()
    asked = cluster.asked_of_standby()[before:]
    assert "WITH page AS (SELECT * FROM (" in asked
    assert "FROM users WHERE email_key >=" in asked
    assert "FROM subscription_counts" in asked
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


async def test_a_replica_that_is_not_there_is_missed_by_nobody(database_url: str) -> None:
    """The service is ready, and every list is answered by the primary."""
    async with serving(database_url, SMP_DATABASE_REPLICA_URL=NOWHERE) as platform:
        admin = await platform.signed_in()
        for path in ("/v1/subscriptions", "/v1/users", "/v1/statistics", "/health/ready"):
            assert (await admin.get(path)).status_code == 200


async def test_the_doctor_looks_at_it(cluster: Cluster) -> None:
    """It says how old its data are, or that it cannot be read from."""
    found = {}
    for url in (cluster.standby_url, NOWHERE):
        environ = {"SMP_DATABASE_URL": cluster.primary_url, "SMP_DATABASE_REPLICA_URL": url, "SMP_LOG_LEVEL": "error"}
        (check_result,) = [check_result for check_result in await diagnose(environ) if check_result.check == "replica"]
        found[url] = (check_result.ok, check_result.detail)
    assert found[cluster.standby_url][0], found
    assert "s old at most" in found[cluster.standby_url][1]
    assert found[NOWHERE] == (False, "does not answer, or does not follow the primary")


async def test_nothing_is_written_through_it(cluster: Cluster) -> None:
    """Not even where its URL is the primary's by mistake."""
    pool = await create_pool(cluster.primary_url, PoolSettings(read_only=True))
    try:
        with pytest.raises(StorageUnavailable):
            await pool.run(sql("INSERT INTO kept VALUES (-1)"))
    finally:
        await pool.close()


async def test_it_is_left_when_it_goes_away_and_taken_again(cluster: Cluster, primary: PostgresPool) -> None:
    """No read fails meanwhile; after it has gone it is left alone for a while."""
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


async def test_what_is_read_is_no_older_than_allowed(cluster: Cluster, primary: PostgresPool) -> None:
    """A replica that stopped replaying is read for as long as it may lag, and then left; when it goes on, so it is."""
    async with reading(primary, cluster.standby_url) as (reads, recorded):
        number = await kept(reads) + 1
        await until_read_from(reads, recorded)
        cluster.on_standby("SELECT pg_wal_replay_pause()")
        try:
            while cluster.on_standby("SELECT pg_get_wal_replay_pause_state()") != "paused":
                await asyncio.sleep(0.02)
            written_at = monotonic()
            cluster.on_primary(f"INSERT INTO kept VALUES ({number})")  # noqa: S608 - a number
            stale = 0
            while await kept(reads) < number:
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
        assert await kept(reads) == number


async def test_a_primary_at_rest_makes_no_replica_look_late(cluster: Cluster, primary: PostgresPool) -> None:
    """As the age of the last transaction that was replayed would."""
    async with reading(primary, cluster.standby_url) as (reads, recorded):
        await until_read_from(reads, recorded)
        await asyncio.sleep(2 * IMPATIENT.lag_s)
        recorded.reads.clear()
        for _ in range(5):
            await reads.row(KEPT)
        assert recorded.reads == {ReadSource.REPLICA: 5}


async def test_what_replay_interrupts_is_asked_of_the_primary(cluster: Cluster, primary: PostgresPool) -> None:
    """The standby cancels what stands in the way of the log (40001); the caller hears nothing of it."""
    limits = ReplicaLimits(lag_s=10, probe_every_s=0.05)
    cluster.on_primary("INSERT INTO kept VALUES (0)")
    async with reading(primary, cluster.standby_url, limits) as (reads, recorded):
        await until_read_from(reads, recorded)
        recorded.reads.clear()
        asked = asyncio.create_task(reads.row(HOLD_STILL, seconds=1.0))
        await asyncio.sleep(0.2)
        cluster.on_primary("ALTER TABLE kept ALTER n SET STATISTICS 10", "TRUNCATE kept", "INSERT INTO kept VALUES (1)")
        row = await asked
        assert row is not None
        assert row[0] == 1
        assert recorded.reads == {ReadSource.CONFLICT: 1}
        await until_read_from(reads, recorded)


async def test_a_schema_that_it_does_not_have_yet_is_asked_of_the_primary(
    cluster: Cluster, primary: PostgresPool
) -> None:
    """A migration reaches it a moment later."""
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


async def test_without_it_lists_take_few_of_the_primarys_connections(primary: PostgresPool, cluster: Cluster) -> None:
    """The rest are for access checks; who does not get one in time is recorded to come again."""
    limits = ReplicaLimits(max_concurrency=2, wait_s=0.1)
    async with reading(primary, NOWHERE, limits) as (reads, recorded):
        await reads.probe()
        asked = [asyncio.create_task(reads.row(HOLD_STILL, seconds=0.6)) for _ in range(6)]
        await asyncio.sleep(0.3)
        assert primary.in_use == 2
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, StorageUnavailable) for answer in answers) == 4
    assert set(recorded.reads) == {ReadSource.AWAY}


async def test_a_primary_that_takes_no_writes_is_left_and_found_again(cluster: Cluster) -> None:
    """Writes are recorded to come again, reads go on, and no connection stays spoilt (25006)."""
    pool = await create_pool(cluster.primary_url)
    users = PostgresUnitOfWorkFactory(pool)
    try:
        await keep_somebody(users, "before")
        cluster.on_primary("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        try:
            with pytest.raises(StorageUnavailable):
                await keep_many(users)  # a connection hears of it a moment later
            assert await pool.row(KEPT) is not None
        finally:
            cluster.on_primary("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
        await until_kept(users, "after")
    finally:
        await pool.close()


async def test_of_several_servers_the_primary_is_taken_whoever_it_is() -> None:
    """A standby is passed over; when the primary is lost and the standby promoted, writes go there."""
    with running_cluster() as pair:
        pool = await create_pool(pair.url_of_both)
        users = PostgresUnitOfWorkFactory(pool)
        try:
            await keep_somebody(users, "before")
            assert pair.on_standby("SELECT pg_is_in_recovery()") is True
            await asyncio.to_thread(pair.stop_primary)
            with pytest.raises(StorageUnavailable):
                await keep_somebody(users, "between")
            await asyncio.to_thread(pair.promote_standby)
            await until_kept(users, "after")
            written = await pool.rows(sql("SELECT email FROM users ORDER BY email"))
            assert [row["email"] for row in written] == ["after@example.com", "before@example.com"]
        finally:
            await pool.close()


async def keep_somebody(users: PostgresUnitOfWorkFactory, name: str) -> None:
    """A user, written."""
    async with users() as work:
        await work.users.add(a_user(f"{name}@example.com"))
        await work.commit()


async def keep_many(users: PostgresUnitOfWorkFactory) -> None:
    """A hundred, one after the other."""
    for number in range(100):
        await keep_somebody(users, f"during-{number}")


async def until_kept(users: PostgresUnitOfWorkFactory, name: str) -> None:
    """As a client would that is recorded to come again."""
    deadline = monotonic() + 10
    while True:
        try:
            await keep_somebody(users, name)
        except StorageUnavailable:
            assert monotonic() < deadline
            await asyncio.sleep(0.05)
        else:
            return
