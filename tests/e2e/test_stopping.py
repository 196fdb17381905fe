"""A stopped server finishes its requests, waits no longer than its grace time, and ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import asyncpg

from tests.support.clients import send
from tests.support.populations import Account, Population, population
from tests.support.processes import is_alive, kill, serving, starting, wait_until

GRACE_S: Final = 2
SPARE_S: Final = 15.0
"""What stopping takes besides the grace, on a machine that is busy with other tests."""

WAITING: Final = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
TRICKLE_S: Final = 0.2


@asynccontextmanager
async def locked_owner(people: Population, owner: Account) -> AsyncIterator[None]:
    """Lock the owner's row during the block, so that requests wait."""
    connection = await asyncpg.connect(people.url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM subscriptions WHERE user_id = $1 FOR UPDATE", owner.id)
            yield
    finally:
        await connection.close()


async def wait_until_closed(port: int) -> None:
    """Wait until the port is closed."""
    with suppress(ConnectionRefusedError):
        while True:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.transport.abort()
            await asyncio.sleep(0.02)


async def trickle(port: int, token: str) -> None:
    """Send a request whose body never ends, until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = [
        "POST /v1/me/subscription/activate HTTP/1.1",
        f"host: 127.0.0.1:{port}",
        f"cookie: smp_session={token}",
        "content-type: application/json",
        "content-length: 60000",
    ]
    writer.write("\r\n".join([*head, "", "{"]).encode())
    with suppress(OSError):
        while not reader.at_eof():
            writer.write(b" ")
            await writer.drain()
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), TRICKLE_S)
    writer.transport.abort()


async def test_a_request_in_progress_is_finished_and_later_ones_are_not_accepted(
    environ: dict[str, str], database_url: str, folder: Path
) -> None:
    with serving({**environ, "SMP_DATABASE_URL": database_url}, folder) as service:
        async with population(database_url) as people:
            ann, plan = await people.account(), await people.plan()
            subscribe = ann.call(service.port, "POST", "/v1/me/subscription/activate", {"plan": plan.code})
            assert (await send(subscribe)).status == 201
            async with locked_owner(people, ann):
                renew = ann.call(service.port, "POST", "/v1/me/subscription/renew", {})
                renewing = asyncio.create_task(send(renew))
                async with asyncio.timeout(SPARE_S):
                    while not await people.value(WAITING):
                        await asyncio.sleep(0.01)
                    service.process.terminate()
                    await wait_until_closed(service.port)
                assert not renewing.done()
            reply = await renewing
            assert (reply.status, reply.document["version"]) == (200, 2)
            assert await asyncio.to_thread(service.process.wait, SPARE_S) == 0
            assert await people.value("SELECT periods FROM subscriptions WHERE user_id = $1", ann.id) == 2
    assert "Traceback" not in service.log.read_text()


async def test_no_client_can_delay_a_stop_beyond_the_grace_time(
    environ: dict[str, str], database_url: str, folder: Path
) -> None:
    """Neither one that never finishes a request nor one that stays connected."""
    settings = {"SMP_DATABASE_URL": database_url, "SMP_SHUTDOWN_GRACE_S": str(GRACE_S)}
    with serving({**environ, **settings}, folder) as service:
        async with population(database_url) as people:
            ann = await people.account()
            _, idle = await asyncio.open_connection("127.0.0.1", service.port)
            trickling = asyncio.create_task(trickle(service.port, ann.token))
            workers = await asyncio.to_thread(service.workers)
            await asyncio.sleep(2 * TRICKLE_S)
            assert not trickling.done()
            service.process.terminate()
            assert await asyncio.to_thread(service.process.wait, GRACE_S + SPARE_S) == 0
            await asyncio.wait_for(trickling, SPARE_S)
            idle.transport.abort()
            assert workers
            assert not any(is_alive(worker) for worker in workers)
            assert await people.value("SELECT count(*) FROM subscriptions") == 0


def test_a_worker_whose_parent_is_killed_during_the_start_ends(
    environ: dict[str, str], database_url: str, folder: Path
) -> None:
    """The worker has never seen its parent alive."""
    with starting({**environ, "SMP_DATABASE_URL": database_url}, folder) as service:
        wait_until(lambda: bool(service.workers()))
        workers = service.workers()
        service.process.kill()
        service.process.wait(SPARE_S)
        try:
            wait_until(lambda: not any(is_alive(worker) for worker in workers), SPARE_S)
        finally:
            for worker in workers:
                kill(worker)


def test_a_stop_right_after_the_start_of_a_worker_takes_no_grace_time(
    environ: dict[str, str], database_url: str, folder: Path
) -> None:
    settings = {"SMP_DATABASE_URL": database_url, "SMP_SHUTDOWN_GRACE_S": "3600"}
    with starting({**environ, **settings}, folder) as service:
        wait_until(lambda: bool(service.workers()))
        assert service.stop() == 0
        assert "Traceback" not in service.log.read_text()
