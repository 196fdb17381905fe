"""Without PostgreSQL every answer comes in time, no acknowledged change is lost, and the service recovers by itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.support.clients import Call, Reply, send
from tests.support.faults import cut_at_commit, frozen
from tests.support.populations import Account, Population, population
from tests.support.postgres import execute
from tests.support.processes import Service, postmaster, run, serving, serving_async, starting
from tests.support.proxies import Proxy, proxy_to

ANSWERED_WITHIN_S: Final = 3.0
BACK_WITHIN_S: Final = 10.0
RESTARTED_WITHIN_S: Final = 25.0
ASKED_FOR_S: Final = 4.0
POLL_S: Final = 0.2
CUTS: Final = 12
CUSTOMERS: Final = 60
AT_ONCE: Final = 6
PATH: Final = "/v1/me/subscription"


@dataclass(frozen=True, slots=True)
class Timed:
    """A response with its duration."""

    reply: Reply
    after_s: float


async def timed(call: Call) -> Timed:
    started = time.monotonic()
    reply = await send(call)
    return Timed(reply, time.monotonic() - started)


@dataclass(slots=True)
class Customer:
    """A client that subscribes, and repeats the request under the same key until it is answered."""

    account: Account
    subscribe: Call
    tries: int = 0

    @classmethod
    async def of(cls, people: Population, service: Service, plan: str) -> Customer:
        account = await people.account()
        return cls(
            account, account.call(service.port, "POST", f"{PATH}/activate", {"plan": plan}, idempotency_key="one")
        )

    async def repeat_until_answered(self) -> Reply:
        """Repeat the request until it is answered, and return the response."""
        deadline = time.monotonic() + RESTARTED_WITHIN_S
        while time.monotonic() < deadline:
            self.tries += 1
            reply = await send(self.subscribe)
            if reply.status == 201:
                return reply
            assert reply.status == 503 or reply.slug == "request-in-progress", reply
            await asyncio.sleep(POLL_S)
        raise AssertionError("no answer in time")

    async def subscriptions(self, people: Population) -> Sequence[str]:
        """Return the ids of the customer's subscriptions in the database."""
        rows = await people.rows("SELECT id::text FROM subscriptions WHERE user_id = $1", self.account.id)
        return [row["id"] for row in rows]


async def assert_unavailable(service: Service, customers: Sequence[Customer]) -> None:
    """Check that the process is alive and not ready, and answers everything with 503 and Retry-After in time."""
    deadline = time.monotonic() + ASKED_FOR_S
    while time.monotonic() < deadline:
        live, ready, *others = await asyncio.gather(
            timed(Call(service.port, "GET", "/health/live")),
            timed(Call(service.port, "GET", "/health/ready")),
            *(timed(customer.account.call(service.port, "GET", PATH)) for customer in customers),
            *(timed(customer.subscribe) for customer in customers),
        )
        assert live.reply.status == 200
        assert live.after_s < 1
        for away in (ready, *others):
            assert away.reply.status == 503, away
            assert away.after_s < ANSWERED_WITHIN_S, away
            assert int(away.reply.headers["retry-after"]) >= 1
        assert "database" in ready.reply.document["detail"]
        assert {other.reply.slug for other in others} <= {"service-unavailable", "outcome-unknown", "database-busy"}


def assert_logged_once(service: Service) -> None:
    """Check that the outage is one warning, and that each failed request is an error with its route."""
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    outages = [line for line in lines if line["event"] == "the database is not available"]
    assert [(line["level"], line["server"]) for line in outages] == [("warning", "primary")]
    failed = [line for line in lines if line["event"] == "request" and line["status"] >= 500]
    assert {(line["level"], line["route"]) for line in failed} >= {("error", PATH), ("error", "/health/ready")}
    assert {line["level"] for line in failed} == {"error"}


async def wait_until_ready(service: Service, within_s: float) -> None:
    """Wait until the process is ready again by itself."""
    deadline = time.monotonic() + within_s
    while (await send(Call(service.port, "GET", "/health/ready"))).status != 200:
        assert time.monotonic() < deadline, "not ready in time"
        await asyncio.sleep(POLL_S)


async def assert_one_subscription_each(customers: Sequence[Customer], people: Population) -> None:
    """Check that each request, however often it was repeated, had one effect."""
    for customer in customers:
        reply = await customer.repeat_until_answered()
        assert await customer.subscriptions(people) == [reply.document["id"]]


# --- the embedded one -------------------------------------------------------------------------------------------------


def embedded_url(data_dir: Path) -> str:
    return f"postgresql://postgres@/postgres?host={data_dir}/postgres/db&port=5432"


@pytest.fixture
async def embedded(environ: dict[str, str], folder: Path) -> AsyncIterator[tuple[Service, Population]]:
    """Run a service with the embedded server in ``folder``."""
    with serving({**environ, "SMP_DATA_DIR": str(folder)}, folder) as service:
        async with population(embedded_url(folder)) as people:
            yield service, people


async def test_a_stopped_embedded_server_causes_503_in_time(embedded: tuple[Service, Population], folder: Path) -> None:
    """The server accepts connections and never answers."""
    service, people = embedded
    plan = (await people.plan()).code
    before, *during = [await Customer.of(people, service, plan) for _ in range(4)]
    acknowledged = await before.repeat_until_answered()
    server = postmaster(folder)
    assert server is not None
    with frozen(server):
        await assert_unavailable(service, during)
    await wait_until_ready(service, BACK_WITHIN_S)
    await assert_one_subscription_each(during, people)
    assert await before.subscriptions(people) == [acknowledged.document["id"]]
    assert service.stop() == 0


async def test_a_killed_embedded_server_is_restarted_without_loss_or_second_effect(
    environ: dict[str, str], folder: Path
) -> None:
    environ = {**environ, "SMP_DATA_DIR": str(folder)}
    with serving(environ, folder) as service:
        async with population(embedded_url(folder)) as people:
            plan = (await people.plan()).code
            customers = [await Customer.of(people, service, plan) for _ in range(CUSTOMERS)]
        subscribing = asyncio.gather(*(one_by_one(customers[part::AT_ONCE]) for part in range(AT_ONCE)))
        while sum(customer.tries for customer in customers) < CUSTOMERS / 3:
            await asyncio.sleep(0)
        killed = postmaster(folder)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        acknowledged = [reply for part in await subscribing for reply in part]
        assert max(customer.tries for customer in customers) > 1, "no request failed, so the test proves nothing"
        await wait_until_ready(service, RESTARTED_WITHIN_S)
        assert postmaster(folder) not in {None, killed}
        async with population(embedded_url(folder)) as people:
            kept = [id_ for customer in customers for id_ in await customer.subscriptions(people)]
        assert sorted(kept) == sorted(reply.document["id"] for reply in acknowledged)
        checked = await asyncio.to_thread(run, environ, "doctor")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert service.stop() == 0


async def one_by_one(customers: Sequence[Customer]) -> list[Reply]:
    """Subscribe the customers one after the other, each until it is answered."""
    return [await customer.repeat_until_answered() for customer in customers]


# --- one behind a network ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Remote:
    """A service whose database is behind a network that can fail."""

    service: Service
    proxy: Proxy
    people: Population
    plan: str

    async def customer(self) -> Customer:
        return await Customer.of(self.people, self.service, self.plan)


@asynccontextmanager
async def remote_service(environ: dict[str, str], database_url: str, folder: Path) -> AsyncIterator[Remote]:
    async with (
        proxy_to(database_url) as proxy,
        serving_async({**environ, "SMP_DATABASE_URL": proxy.url, "SMP_LOG_FORMAT": "json"}, folder) as service,
        population(database_url) as people,
    ):
        yield Remote(service, proxy, people, (await people.plan()).code)


@pytest.fixture
async def remote(environ: dict[str, str], database_url: str, folder: Path) -> AsyncIterator[Remote]:
    async with remote_service(environ, database_url, folder) as remote:
        yield remote


async def test_a_silent_network_causes_503_in_time_and_no_second_effect(remote: Remote) -> None:
    """Data that were sent during the silence arrive at its end."""
    before, *during = [await remote.customer() for _ in range(4)]
    acknowledged = await before.repeat_until_answered()
    remote.proxy.stop_passing()
    await assert_unavailable(remote.service, during)
    remote.proxy.resume_passing()
    await wait_until_ready(remote.service, BACK_WITHIN_S)
    await assert_one_subscription_each(during, remote.people)
    assert await before.subscriptions(remote.people) == [acknowledged.document["id"]]


async def test_a_server_that_refuses_connections_causes_503_until_it_is_back(remote: Remote) -> None:
    """Open connections are reset, as in a restart."""
    before, *during = [await remote.customer() for _ in range(4)]
    acknowledged = await before.repeat_until_answered()
    await remote.proxy.close()
    await assert_unavailable(remote.service, during)
    assert_logged_once(remote.service)
    await remote.proxy.listen()
    await wait_until_ready(remote.service, BACK_WITHIN_S)
    await assert_one_subscription_each(during, remote.people)
    assert await before.subscriptions(remote.people) == [acknowledged.document["id"]]


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_commit_that_is_cut_off_is_reported_as_unknown_and_its_key_has_one_effect(
    remote: Remote,
    arrives: bool,  # noqa: FBT001
) -> None:
    for _ in range(CUTS):
        customer = await remote.customer()
        with cut_at_commit(remote.proxy, arrives=arrives):
            cut = await timed(customer.subscribe)
        assert (cut.reply.status, cut.reply.slug) == (503, "outcome-unknown"), cut
        assert cut.after_s < ANSWERED_WITHIN_S
        assert int(cut.reply.headers["retry-after"]) >= 1
        assert len(await customer.subscriptions(remote.people)) == arrives
        # The server may not have noticed yet that the connection of the first attempt is gone.
        reply = await customer.repeat_until_answered()
        assert reply.is_replayed == arrives
        assert await customer.subscriptions(remote.people) == [reply.document["id"]]


async def test_a_password_that_is_rotated_in_its_file_needs_no_restart(
    environ: dict[str, str], database_url: str, folder: Path
) -> None:
    """A renamed role stands for it, because the server of the tests asks for no password."""
    before, after = f"before_{os.getpid()}", f"after_{os.getpid()}"
    parts = urlsplit(database_url)
    urls = [urlunsplit(parts._replace(netloc=f"{name}@{parts.netloc.rpartition('@')[2]}")) for name in (before, after)]
    file = folder / "database-url"
    file.write_text(urls[0])
    await execute(database_url, f"CREATE ROLE {before} LOGIN SUPERUSER")
    try:
        async with serving_async({**environ, "SMP_DATABASE_URL_FILE": str(file)}, folder) as service:
            await execute(
                database_url,
                f"ALTER ROLE {before} RENAME TO {after}",
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{after}'",  # noqa: S608
            )
            assert (await send(Call(service.port, "GET", "/health/ready"))).status == 503
            file.write_text(urls[1])
            await wait_until_ready(service, BACK_WITHIN_S)
            assert await asyncio.to_thread(service.stop) == 0
    finally:
        await execute(database_url, f"DROP OWNED BY {after}", f"DROP ROLE {after}")


async def test_a_service_that_starts_without_its_database_is_not_ready_until_the_database_is_there(
    environ: dict[str, str], database_url: str, folder: Path
) -> None:
    """In production. It creates the first administrator then."""
    admin = {"email": "root@example.com", "password": "correct horse battery staple"}
    async with proxy_to(database_url) as proxy:
        await proxy.close()
        settings = {
            "SMP_ENV": "production",
            "SMP_DATABASE_URL": proxy.url,
            "SMP_ADMIN_EMAIL": admin["email"],
            "SMP_ADMIN_PASSWORD": admin["password"],
        }
        with starting({**environ, **settings}, folder) as service:
            login = Call(service.port, "POST", "/v1/auth/login", admin)
            await eventually_answers(Call(service.port, "GET", "/health/live"), 200, RESTARTED_WITHIN_S)
            assert (await send(Call(service.port, "GET", "/health/ready"))).status == 503
            assert "starting without the database" in service.log.read_text()
            await proxy.listen()
            await wait_until_ready(service, BACK_WITHIN_S)
            await eventually_answers(login, 200, BACK_WITHIN_S)
            assert await asyncio.to_thread(service.stop) == 0


async def eventually_answers(call: Call, status: int, within_s: float) -> None:
    """Repeat the call until it is answered with this status."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with suppress(OSError):
            if (await send(call)).status == status:
                return
        await asyncio.sleep(POLL_S)
    pytest.fail(f"{call} was not answered with {status} in time")
