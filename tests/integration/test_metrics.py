"""The values of metrics, over HTTP, with PostgreSQL."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from datetime import timedelta
from time import perf_counter, process_time
from typing import Any

import pytest
from dishka import Provider, Scope

from smp.adapters.http.settings import UP, Readiness
from smp.adapters.postgres.bulk_loader import PostgresBulkLoader
from smp.adapters.postgres.pool import PostgresPool, create_pool
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.adapters.postgres.replica_reads import ReplicaReads
from smp.adapters.postgres.statements import sql
from smp.adapters.postgres.subscription_counts import OVERDUE_MAX, PostgresSubscriptionCounts, SubscriptionCounts
from smp.adapters.prometheus.definitions import ACCESS_DECISIONS
from smp.adapters.prometheus.metrics import Metrics
from smp.adapters.prometheus.observers import PoolMetrics, RequestMetrics
from smp.adapters.security.argon2_hasher import Argon2Cost, Argon2PasswordHasher
from smp.application.errors import StorageUnavailable
from smp.bootstrap.metrics import LoopLag, Sampler
from smp.domain.subscription.lifecycle import Status
from tests.support.builders import DAY, NOW, a_plan, a_trial, a_user, some_metadata
from tests.support.exposition import Scrape, read
from tests.support.http_platform import START, Platform, problem, serving
from tests.support.postgres_storage import postgres_storage


@pytest.fixture
async def platform(database_url: str) -> AsyncIterator[Platform]:
    async with serving(database_url) as platform:
        yield platform


async def scraped(platform: Platform) -> Scrape:
    """Return what `/metrics` returns."""
    answer = await (await platform.visitor()).get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return read(answer.text)


async def sampled(platform: Platform) -> Scrape:
    """Return what `/metrics` returns after all gauges were updated."""
    await (await platform.container.get(Sampler)).sample()
    return await scraped(platform)


async def test_every_request_is_counted_by_its_route_even_if_a_middleware_answers(platform: Platform) -> None:
    """Never by a text of the client, which could create any number of series."""
    visitor, ada = await platform.visitor(), await platform.registered("ada@example.com")
    for path in ("/v1/plans/one", "/v1/plans/two", "/nowhere/at-all", "/v1/nothing"):
        assert (await visitor.get(path)).status_code == 404
    assert (await ada.get("/v1/me/access/export")).status_code == 200
    assert (await visitor.get("/v1/me/access/export")).status_code == 401
    assert (await visitor.post("/v1/auth/login", content=b"{")).status_code == 415
    assert (await visitor.head("/v1/plans")).status_code == 200
    assert (await visitor.request("BREW", "/v1/plans")).status_code == 405
    assert (await visitor.request("DISTIL", "/v1/me/access")).status_code == 405
    samples = await scraped(platform)
    for method, route, status, times in (
        ("GET", "/v1/plans/{plan}", "404", 2),
        ("GET", "unmatched", "404", 2),
        ("GET", "/v1/me/access/{feature}", "200", 1),
        ("GET", "/v1/me/access/{feature}", "401", 1),
        ("HEAD", "/v1/plans", "200", 1),
        ("other", "/v1/me/access", "405", 1),
    ):
        assert samples("smp_http_requests_total", method=method, route=route, status=status) == times
    assert samples("smp_http_request_duration_seconds_count", method="GET", route="/v1/me/access/{feature}") == 2
    assert samples.total("smp_http_requests_total", status="415") == 1
    written = " ".join(value for _, labels in samples.values for _, value in labels)
    assert not [word for word in ("one", "two", "nowhere", "BREW", "DISTIL", "example.com") if word in written.split()]


async def test_access_decisions_are_counted_by_their_reason(platform: Platform) -> None:
    await platform.offer()
    clients = {name: await platform.registered(f"{name}@example.com") for name in ("new", "live", "over", "gone")}
    for name in ("live", "over", "gone"):
        assert (await clients[name].post("/v1/me/subscription/trial", json={"plan": "pro"})).status_code == 201
    await clients["gone"].post("/v1/me/subscription/cancel", json={"at": "now"})
    for name, feature in (("new", "export"), ("live", "export"), ("live", "absent"), ("gone", "export")):
        assert (await clients[name].get(f"/v1/me/access/{feature}")).status_code == 200
    await platform.set_clock(START + timedelta(days=14))
    over = await platform.signed_in("over@example.com")
    assert (await over.get("/v1/me/access/export")).json()["reason"] == "subscription_expired"
    disabled = f"/v1/users/{(await over.get('/v1/me')).json()['id']}"
    assert (await (await platform.signed_in()).patch(disabled, json={"disabled": True})).status_code == 200
    assert (await (await platform.service()).get(f"{disabled}/access/export")).status_code == 200
    samples = await scraped(platform)
    assert {labels["reason"] for labels in samples.labels("smp_access_decisions_total")} == {
        "granted", "feature_not_in_plan", "no_subscription", "subscription_expired", "subscription_cancelled",
        "user_disabled",
    }  # fmt: skip
    assert samples.total("smp_access_decisions_total") == 6
    assert all(value == 1 for (name, _), value in samples.values.items() if name == "smp_access_decisions_total")


async def test_charges_and_repeated_requests_are_counted(platform: Platform) -> None:
    await platform.offer()
    ada = await platform.registered("ada@example.com")
    for method, status in (("sim_declined", 402), ("sim_down", 503), ("cash", 422), ("sim_ok", 201)):
        body = {"plan": "pro", "payment_method": method}
        assert (await ada.post("/v1/me/subscription/activate", json=body)).status_code == status
    for _ in range(3):
        answer = await ada.post("/v1/me/subscription/renew", headers={"idempotency-key": "once"})
        assert answer.status_code == 200
    samples = await scraped(platform)
    for outcome, times in (("charged", 2), ("declined", 1), ("unavailable", 1), ("invalid", 1), ("required", 0)):
        assert samples("smp_payments_total", outcome=outcome) == times
    assert samples("smp_idempotent_replays_total") == 2
    assert samples.total("smp_database_errors_total") == 0


async def test_charges_without_a_payment_provider_are_counted(database_url: str) -> None:
    async with serving(database_url, SMP_PAYMENTS="none") as platform:
        await platform.offer()
        ada = await platform.registered("ada@example.com")
        answer = await ada.post("/v1/me/subscription/activate", json={"plan": "pro"})
        assert problem(answer) == (402, "payment-required")
        assert (await scraped(platform))("smp_payments_total", outcome="required") == 1


async def test_throttled_logins_are_counted(platform: Platform) -> None:
    await platform.registered("ada@example.com")
    visitor = await platform.visitor()
    body = {"email": "ada@example.com", "password": "x" * 20}
    statuses = [(await visitor.post("/v1/auth/login", json=body)).status_code for _ in range(12)]
    assert statuses.count(429) >= 1
    assert (await scraped(platform))("smp_logins_throttled_total") == statuses.count(429)


async def test_gauges_show_the_connections_readiness_and_subscriptions(platform: Platform) -> None:
    """Subscriptions by their status at the instant, and the lag of the expiry job."""
    await platform.offer()
    for name in ("ada", "bob", "cy"):
        client = await platform.registered(f"{name}@example.com")
        assert (await client.post("/v1/me/subscription/trial", json={"plan": "pro"})).status_code == 201
        if name == "bob":
            assert (await client.post("/v1/me/subscription/cancel", json={"at": "period_end"})).status_code == 200
    samples = await sampled(platform)
    assert samples("smp_database_pool_size") == 10
    assert samples("smp_database_pool_connections", state="idle") >= 1
    assert samples("smp_database_pool_connections", state="in_use") == 0
    assert samples("smp_database_pool_wait_seconds_count") > 10
    assert [samples("smp_ready", check=check) for check in ("database", "migrations", "clock")] == [1, 1, 1]
    assert samples("smp_subscriptions", status="trial") == 3
    assert (samples("smp_sweep_lag_seconds"), samples("smp_subscriptions_overdue")) == (0, 0)
    await platform.set_clock(START + timedelta(days=14, seconds=90))
    samples = await sampled(platform)
    by_status = {status: samples("smp_subscriptions", status=status) for status in Status}
    assert by_status == {Status.TRIAL: 0, Status.ACTIVE: 0, Status.EXPIRED: 2, Status.CANCELLED: 1}
    assert (samples("smp_sweep_lag_seconds"), samples("smp_subscriptions_overdue")) == (90, 3)
    await platform.run_expiry_job()
    samples = await sampled(platform)
    assert {status: samples("smp_subscriptions", status=status) for status in Status} == by_status
    assert (samples("smp_sweep_lag_seconds"), samples("smp_subscriptions_overdue")) == (0, 0)


@pytest.mark.parametrize("outcome", ["replica", "away"])
async def test_reads_of_lists_are_counted_by_their_source(database_url: str, outcome: str) -> None:
    """The replica is the primary itself, which is never behind. A replica that does not answer is not used."""
    replica = database_url if outcome == "replica" else "postgresql://nobody@127.0.0.1:1/nothing"
    async with serving(database_url, SMP_DATABASE_REPLICA_URL=replica) as platform:
        await (await platform.container.get(ReplicaReads)).probe()
        assert (await (await platform.signed_in()).get("/v1/users")).status_code == 200
        samples = await sampled(platform)
    assert samples("smp_replica_reads_total", outcome=outcome) == samples.total("smp_replica_reads_total") == 1
    assert math.isnan(samples("smp_replica_lag_seconds")) is (outcome == "away")


async def test_without_a_replica_its_lag_is_unknown_and_no_read_is_counted(platform: Platform) -> None:
    assert (await (await platform.signed_in()).get("/v1/users")).status_code == 200
    samples = await sampled(platform)
    assert samples.total("smp_replica_reads_total") == 0
    assert math.isnan(samples("smp_replica_lag_seconds"))


class Down(Readiness):
    """A database that does not answer."""

    async def check(self) -> Mapping[str, str]:
        return {"database": "does not answer", "migrations": UP, "clock": UP}


class UnavailableCounts(PostgresSubscriptionCounts):
    """Counts whose database does not answer."""

    async def at(self, now: object) -> SubscriptionCounts:
        raise StorageUnavailable


async def test_a_gauge_is_nan_while_the_database_does_not_answer(database_url: str) -> None:
    """The last values would hide the outage."""
    override = Provider(scope=Scope.APP)
    override.provide(Down, provides=Readiness, override=True)
    override.provide(UnavailableCounts, provides=PostgresSubscriptionCounts, override=True)
    async with serving(database_url, override) as platform:
        samples = await sampled(platform)
    assert [samples("smp_ready", check=check) for check in ("database", "migrations", "clock")] == [0, 1, 1]
    for name in ("smp_sweep_lag_seconds", "smp_subscriptions_overdue"):
        assert math.isnan(samples(name))
    assert all(math.isnan(samples("smp_subscriptions", status=status)) for status in Status)


async def test_an_update_that_fails_delays_no_other_and_is_tried_again() -> None:
    seen = []

    async def broken() -> None:
        seen.append("broken")
        raise ZeroDivisionError

    async def working() -> None:
        seen.append("working")

    async with Sampler((broken, working), every_s=0.001).running(), asyncio.timeout(5):
        while len(seen) < 4:
            await asyncio.sleep(0.001)
    assert seen[:4] == ["broken", "working"] * 2


async def test_the_metrics_of_a_pool_count_waits_and_timeouts(database_url: str) -> None:
    metrics = Metrics()
    pool = await create_pool(database_url, PoolSettings(size=1, acquire_timeout_s=0.3), PoolMetrics(metrics))
    async with pool.connection():
        assert (pool.size, pool.in_use, pool.idle, pool.waiting) == (1, 1, 0, 0)
        late = asyncio.create_task(pool.row(sql("SELECT 1")))
        await asyncio.sleep(0.05)
        assert pool.waiting == 1
        with pytest.raises(StorageUnavailable):
            await late
        assert pool.waiting == 0
    assert (pool.in_use, pool.idle) == (0, 1)
    samples = read(metrics.exposition().decode())
    assert samples("smp_database_pool_timeouts_total") == 1
    assert samples("smp_database_pool_wait_seconds_count") == 1
    assert samples.total("smp_database_errors_total") == 0
    await pool.close()


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT 1 / 0", "data"),
        ("SELECT * FROM nothing", "statement"),
        ("SELECT pg_sleep(1)", "timeout"),
        ("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$", "conflict"),
        ("DO $$ BEGIN RAISE SQLSTATE '55P03'; END $$", "conflict"),
        ("DO $$ BEGIN RAISE SQLSTATE '53300'; END $$", "resources"),
        ("DO $$ BEGIN RAISE SQLSTATE '57P01'; END $$", "server"),
        ("DO $$ BEGIN RAISE SQLSTATE '57014'; END $$", "timeout"),
        ("DO $$ BEGIN RAISE SQLSTATE '42501'; END $$", "permission"),
        ("DO $$ BEGIN RAISE SQLSTATE '23503'; END $$", "constraint"),
        ("DO $$ BEGIN RAISE SQLSTATE '08006'; END $$", "connection"),
        ("DO $$ BEGIN RAISE SQLSTATE 'SM001'; END $$", "other"),
    ],
)
async def test_an_error_of_the_database_is_counted_by_its_kind(database_url: str, statement: str, kind: str) -> None:
    metrics = Metrics()
    pool = await create_pool(
        database_url, PoolSettings(lock_timeout_s=0.1, command_timeout_s=0.2), PoolMetrics(metrics)
    )
    with pytest.raises(Exception):  # noqa: B017, PT011 - test_postgres_errors.py says which one
        await pool.run(sql(statement.replace(":", r"\:")))
    samples = read(metrics.exposition().decode())
    assert samples("smp_database_errors_total", kind=kind) == 1
    assert samples.total("smp_database_errors_total") == 1
    await pool.close()


async def test_a_database_that_cannot_be_reached_is_counted() -> None:
    metrics = Metrics()
    pool = await create_pool("postgresql://nobody@127.0.0.1:1/nothing", observer=PoolMetrics(metrics))
    with pytest.raises(StorageUnavailable):
        await pool.row(sql("SELECT 1"))
    assert read(metrics.exposition().decode())("smp_database_errors_total", kind="connection") == 1
    await pool.close()


async def test_an_error_of_another_system_inside_a_transaction_is_not_counted(
    database_url: str,
) -> None:
    """For example an error of a payment provider."""
    metrics = Metrics()
    pool = await create_pool(database_url, observer=PoolMetrics(metrics))
    for error in (ConnectionResetError(), TimeoutError(), ZeroDivisionError()):
        with pytest.raises(type(error)):
            async with pool.connection():
                raise error
    assert read(metrics.exposition().decode()).total("smp_database_errors_total") == 0
    await pool.close()


async def test_a_large_backlog_does_not_make_the_metrics_slower(pool: PostgresPool) -> None:
    """Subscriptions beyond the limit count by their stored status. The lag and the sum are exact."""
    storage = postgres_storage(pool)
    pro = a_plan("pro")
    await storage.keep(pro)
    users = [a_user(f"user-{number}@example.com") for number in range(OVERDUE_MAX + 50)]
    trials = [a_trial(user, pro) for user in users]
    trials[:10] = [trial.cancel_at_period_end(some_metadata(NOW)) for trial in trials[:10]]
    await PostgresBulkLoader(pool).load(users, trials)
    found = await PostgresSubscriptionCounts(pool).at(NOW + 14 * DAY + timedelta(hours=1))
    assert found.overdue == OVERDUE_MAX
    assert found.lag == timedelta(hours=1)
    assert found.subscriptions[Status.TRIAL] == 50
    assert sum(found.subscriptions.values()) == OVERDUE_MAX + 50


async def test_running_and_waiting_password_hashes_are_counted(database_url: str) -> None:
    """The count returns to zero, even if a caller has given up."""
    hasher = Argon2PasswordHasher(Argon2Cost(memory_kib=8_192, passes=8), concurrency=1, queue=2)
    asked = [asyncio.create_task(hasher.hash("x")) for _ in range(3)]
    await asyncio.sleep(0)
    assert (hasher.running, hasher.waiting) == (1, 2)
    asked[2].cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    async with asyncio.timeout(5):
        while hasher.running:
            await asyncio.sleep(0.001)
    assert (hasher.running, hasher.waiting) == (0, 0)
    hasher.close()


async def test_metrics_take_at_most_a_twentieth_of_the_time_of_an_access_check(platform: Platform) -> None:
    """In processor time."""
    await platform.offer()
    ada = await platform.registered("ada@example.com")
    assert (await ada.post("/v1/me/subscription/trial", json={"plan": "pro"})).status_code == 201
    path, cookie = "/v1/me/access/export", str(ada.headers["cookie"]).encode()
    metrics = Metrics()
    requests, pool, granted = (
        RequestMetrics(metrics),
        PoolMetrics(metrics),
        metrics.counter(ACCESS_DECISIONS, "granted"),
    )

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        assert message.get("status", 200) == 200

    async def check() -> None:
        headers = [(b"host", b"127.0.0.1"), (b"cookie", cookie)]
        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
        await platform.transport.app(scope, receive, send)

    async def count() -> None:
        for _ in range(2):  # the session, and the subscription
            asked_at = perf_counter()
            pool.acquired(perf_counter() - asked_at)
        granted.inc()
        requests("GET", "/v1/me/access/{feature}", 200, 0.0005)

    async def cpu_s(work: Callable[[], Awaitable[None]], times: int) -> float:
        began = process_time()
        for _ in range(times):
            await work()
        return (process_time() - began) / times

    await cpu_s(check, 50)
    rounds = [(await cpu_s(count, 2_000), await cpu_s(check, 100)) for _ in range(7)]
    least_count, least_check = (min(each) for each in zip(*rounds, strict=True))
    assert least_count <= least_check / 20


async def test_a_request_is_in_flight_until_it_is_answered_or_failed(platform: Platform) -> None:
    """The request for the metrics is one itself."""
    visitor = await platform.visitor()
    for path in ("/v1/plans", "/nowhere", "/v1/me/access", "/health/live"):
        await visitor.get(path)
    await visitor.post("/v1/auth/login", content=b"{")
    assert (await scraped(platform))("smp_http_requests_in_flight") == 1


async def test_the_lateness_of_the_event_loop_is_measured() -> None:
    metrics = Metrics()

    def measured() -> Scrape:
        return read(metrics.exposition().decode())

    async with LoopLag(metrics).running():
        await asyncio.sleep(0)
        blocked_until = perf_counter() + 0.3
        while perf_counter() < blocked_until:
            pass
        while not measured()("smp_event_loop_lag_seconds_count"):
            await asyncio.sleep(0.01)
    assert measured()("smp_event_loop_lag_seconds_sum") > 0.1
