"""``kill -9`` at any moment loses no acknowledged request, and repeats have no second effect."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.support.clients import Call, send
from tests.support.populations import Account, Population, population
from tests.support.processes import Service, kill, run, serving_each

SEED: Final = 20_261_123
KILLS: Final = 8
PAUSES_S: Final = (0.3, 1.2)
CLIENTS: Final = 10
TRIES_MAX: Final = 600
PAUSE_BETWEEN_TRIES_S: Final = 0.1

# One turn of a client: its requests, each with its event. It begins and ends without a subscription.
TURN: Final[Sequence[tuple[str, str]]] = (
    ("activate", "subscription.activated"),
    ("renew", "subscription.renewed"),
    ("renew", "subscription.renewed"),
    ("cancel", "subscription.cancelled"),
)

Acknowledged = tuple[str, int, str]
"""The subscription's id, its version, and the type of the event that made it so."""


@dataclass(slots=True)
class Load:
    """Clients that run until they are stopped, and that repeat each request under its key until it is answered."""

    people: Population
    services: Sequence[Service]
    plan: str
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    not_yet: Counter[str] = field(default_factory=Counter)

    async def client(self, number: int) -> None:
        """Run one user's requests, one after the other, until the load is stopped."""
        account = await self.people.account()
        keys = 0
        while not self.stopping.is_set():
            for action, type_ in TURN:
                keys += 1
                body = {"plan": self.plan} if action == "activate" else {}
                headers = {"idempotency_key": f"key-{keys}"}
                document = await self.answered(account, f"/v1/me/subscription/{action}", body, headers, number + keys)
                self.acknowledged.append((str(document["id"]), int(document["version"]), type_))

    async def answered(
        self, account: Account, path: str, body: object, headers: dict[str, str], turn: int
    ) -> dict[str, Any]:
        """Return the subscription after the request, which goes to either process until it is answered."""
        for attempt in range(TRIES_MAX):
            port = self.services[(turn + attempt) % len(self.services)].port
            try:
                reply = await send(account.call(port, "POST", path, body, **headers), timeout_s=5)
            except OSError:
                self.not_yet["no answer"] += 1
            else:
                if reply.status in {200, 201}:
                    document: dict[str, Any] = reply.document
                    return document
                assert reply.slug in {"service-unavailable", "outcome-unknown", "request-in-progress"}, reply
                self.not_yet[reply.slug] += 1
            await asyncio.sleep(PAUSE_BETWEEN_TRIES_S)
        raise AssertionError(f"not answered in {TRIES_MAX} tries")


async def kill_repeatedly(services: Sequence[Service]) -> Counter[str]:
    """Kill one of the processes or its worker several times; ended processes are started again."""
    chance, killed = Random(SEED), Counter[str]()  # noqa: S311 - the same kills each time
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(*PAUSES_S))
        service, workers = chance.choice(services), chance.random() < 1 / 2
        if workers:
            for worker in await asyncio.to_thread(service.workers):
                kill(worker)
        else:
            await asyncio.to_thread(service.kill)
        killed["workers" if workers else "all"] += 1
        await asyncio.to_thread(supervise, services)
    return killed


def supervise(services: Sequence[Service]) -> None:
    """Restart each process that has ended: it was killed, or it gave up because its workers were killed too often."""
    for service in services:
        if service.process.poll() is not None:
            service.start_again()


async def test_killing_processes_loses_no_acknowledged_request_and_repeats_none(
    environ: dict[str, str], database_url: str, folder: Path
) -> None:
    """Clients repeat the requests that got no answer."""
    environ = {**environ, "SMP_DATABASE_URL": database_url}
    with serving_each([environ, environ], folder) as services:
        async with population(database_url) as people:
            load = Load(people, services, (await people.plan()).code)
            clients = asyncio.gather(*(load.client(number) for number in range(CLIENTS)))
            killed = await kill_repeatedly(services)
            load.stopping.set()
            await clients
            rows = await people.rows(
                "SELECT subject_id::text AS id, version, type FROM event_log WHERE type LIKE 'subscription.%'"
            )
        assert min(killed["workers"], killed["all"]) >= 3, "both kinds"
        assert load.not_yet["no answer"] > 0, "no request failed, so the test proves nothing"
        recorded = Counter((row["id"], row["version"], row["type"]) for row in rows)
        assert recorded == Counter(load.acknowledged)
        assert len(load.acknowledged) >= CLIENTS * len(TURN)
        checked = await asyncio.to_thread(run, environ, "doctor")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        await asyncio.to_thread(supervise, services)
        for service in services:
            await asyncio.to_thread(service.wait_until_ready)
            assert (await send(Call(service.port, "GET", "/v1/plans"))).status == 200
