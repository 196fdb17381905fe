"""The whole HTTP service in this process on a new PostgreSQL database, and its callers."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from dishka import AsyncContainer, Provider, Scope

from smp.adapters.postgres.pool_settings import PoolSettings
from smp.application.caller import OPERATOR
from smp.application.commands.create_admin import CreateAdmin
from smp.application.commands.create_api_key import CreateApiKey, NewApiKey
from smp.application.execution import Handler
from smp.application.expiry import ExpiryOutcome
from smp.application.jobs.expire_due_subscriptions import ExpireDueSubscriptions
from smp.application.outcomes import UserOutcome
from smp.application.ports.password_hasher import PasswordHasher
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.bootstrap.container import build_container
from smp.bootstrap.http import HttpProvider, build_app
from smp.bootstrap.settings import load_settings
from tests.support.hashing import InstantHasher
from tests.support.postgres import PATIENT
from tests.support.storage import set_clock

PASSWORD: Final = "correct horse battery staple"
ADMIN: Final = "admin@example.com"
START: Final = datetime(2027, 1, 31, 10, tzinfo=UTC)
ORIGIN: Final = "http://smp.example"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Platform:
    """A service whose callers have separate clients, each with its own cookies."""

    container: AsyncContainer
    transport: httpx.ASGITransport
    clients: AsyncExitStack
    cookie: str

    async def visitor(self) -> httpx.AsyncClient:
        """Return a client that is not signed in."""
        return await self.clients.enter_async_context(httpx.AsyncClient(transport=self.transport, base_url=ORIGIN))

    async def registered(self, email: str) -> httpx.AsyncClient:
        """Return a client of a new user, signed in."""
        client = await self.visitor()
        answer = await client.post("/v1/auth/register", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        return await self.signed_in(email)

    async def signed_in(self, email: str = ADMIN) -> httpx.AsyncClient:
        """Return a new client of this user, signed in."""
        client = await self.visitor()
        answer = await client.post("/v1/auth/login", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        token = answer.headers["set-cookie"].split(";")[0].partition("=")[2]
        client.headers["cookie"] = f"{self.cookie}={token}"
        return client

    async def service(self) -> httpx.AsyncClient:
        """Return a client with an API key."""
        made = await (await self.container.get(Handler[CreateApiKey, NewApiKey]))(CreateApiKey("product"), OPERATOR)
        client = await self.visitor()
        client.headers["authorization"] = f"Bearer {made.secret}"
        return client

    async def set_clock(self, now: datetime) -> None:
        """Set the clock of the platform; the expiry job does not run."""
        await set_clock(await self.container.get(UnitOfWorkFactory), now)

    async def run_expiry_job(self) -> None:
        """Run the expiry job as `smp expire` does."""
        await (await self.container.get(Handler[ExpireDueSubscriptions, ExpiryOutcome]))(
            ExpireDueSubscriptions(), OPERATOR
        )

    async def offer(self, code: str = "pro", **terms: object) -> Json:
        """Create a plan as the administrator: 19.90 USD a month with a trial of two weeks, unless ``terms`` differ."""
        plan = {
            "code": code,
            "name": code.title(),
            "price": {"amount": 1990, "currency": "USD"},
            "period": "P1M",
            "trial_period": "P14D",
            "features": {"export": True, "seats": 5},
        } | terms
        answer = await (await self.signed_in()).post("/v1/plans", json=plan)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())


@asynccontextmanager
async def serving(
    database_url: str, *overrides: Provider, with_admin: bool = True, **settings: str
) -> AsyncIterator[Platform]:
    """Run the service with an administrator; its test clock is at :data:`START`, except in production."""
    environ: Mapping[str, str] = {
        "SMP_DATABASE_URL": database_url,
        "SMP_SWEEP_INTERVAL_S": "0",
        "SMP_PURGE_INTERVAL_S": "0",
        "SMP_TEST_CLOCK": "0" if settings.get("SMP_ENV") == "production" else "1",
    } | settings
    loaded = load_settings(environ)
    replaced = Provider(scope=Scope.APP)
    replaced.provide(InstantHasher, provides=PasswordHasher, override=True)
    pool_settings = replace(PATIENT, size=loaded.database_pool_size)
    replaced.provide(lambda: pool_settings, provides=PoolSettings, override=True)
    container = build_container(loaded, HttpProvider(), replaced, *overrides)
    transport = httpx.ASGITransport(app=build_app(loaded, container), raise_app_exceptions=False)
    async with AsyncExitStack() as clients:
        cookie = "__Host-smp_session" if loaded.is_production else "smp_session"
        platform = Platform(container, transport, clients, cookie)
        try:
            if with_admin and loaded.test_clock:
                await platform.set_clock(START)
            if with_admin:
                await (await container.get(Handler[CreateAdmin, UserOutcome | None]))(
                    CreateAdmin(ADMIN, PASSWORD), OPERATOR
                )
            yield platform
        finally:
            await container.close()


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the slug of an error response, which must be a well-formed problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["title"]
    assert document["detail"]
    return answer.status_code, document["type"].removeprefix("/problems/")


def pointers(answer: httpx.Response) -> set[str]:
    """Return the pointers of the bad fields."""
    return {error["pointer"] for error in answer.json()["errors"]}


def captured_log() -> tuple[logging.Handler, io.StringIO]:
    """Return a log handler and the text that it writes."""
    kept = io.StringIO()
    return logging.StreamHandler(kept), kept
