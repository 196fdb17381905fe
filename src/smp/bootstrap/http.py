"""The HTTP service: what a worker process runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import structlog
from dishka import AsyncContainer, Scope, provide

from smp.adapters.http.access.endpoint import AccessEndpoint
from smp.adapters.http.app import HttpDependencies
from smp.adapters.http.app import create_app as create_http_app
from smp.adapters.http.asgi import App
from smp.adapters.http.authentication import RequestAuthenticator
from smp.adapters.http.client_source import ClientSources
from smp.adapters.http.idempotency import IdempotencyKeys
from smp.adapters.http.settings import UP, HttpSettings, Readiness
from smp.adapters.postgres import migrator
from smp.adapters.postgres.clock import DatabaseClock
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.session_checks import IS_READ_ONLY
from smp.adapters.system.id_generator import Uuid7IdGenerator
from smp.application.caller import Caller
from smp.application.errors import ClocksDiffer, StorageUnavailable
from smp.application.execution import Handler
from smp.application.queries.authenticate import Authenticate
from smp.bootstrap.container import build_container
from smp.bootstrap.database import EmbeddedDatabase
from smp.bootstrap.heap import freeze_startup_objects
from smp.bootstrap.listening_sockets import closing_unread_connections
from smp.bootstrap.logging import configure_logging
from smp.bootstrap.metrics import LoopLag, MetricsProvider, Sampler
from smp.bootstrap.periodic_jobs import periodic_jobs
from smp.bootstrap.settings import Settings, load_settings
from smp.bootstrap.supervision import embedded_database_kept_running, first_admin_created, watch_parent
from smp.bootstrap.tracing import are_traces_enabled, start_traces

READINESS_LIMIT_S: Final = 0.95

_log = structlog.stdlib.get_logger("smp.serve")


class PostgresReadiness(Readiness):
    """Ready while the database answers, its schema is not older than this program, and its clock agrees with this one.

    A newer one is fine: while a new version is rolled out its migrations come first, and the old one works on.
    """

    def __init__(self, pool: PostgresPool, clock: DatabaseClock) -> None:
        self._pool = pool
        self._clock = clock

    async def check(self) -> Mapping[str, str]:
        """For ``database``, ``migrations``, ``writes`` and ``clock`` either UP or what is wrong; within a second.

        This is also what measures the database's clock: the sampler of the metrics checks every few seconds.
        """
        clock = UP
        try:
            async with asyncio.timeout(READINESS_LIMIT_S):
                current = await migrator.current(self._pool)
                read_only = await self._pool.row(IS_READ_ONLY)
                try:
                    await self._clock.confirm()
                except ClocksDiffer as difference:
                    clock = str(difference)
        except (TimeoutError, StorageUnavailable):
            return {"database": "does not answer", **dict.fromkeys(("migrations", "writes", "clock"), "not known")}
        migrations = UP
        if current is None or current < migrator.head():
            migrations = f"at {current or 'nothing'}, needs {migrator.head()}: run smp migrate"
        writes = "refused, because the database is read-only" if read_only is not None and read_only[0] else UP
        return {"database": UP, "migrations": migrations, "writes": writes, "clock": clock}


class HttpProvider(MetricsProvider):
    """What the HTTP adapter needs besides the use cases, and the figures of all that it sets off."""

    scope = Scope.APP
    idempotency_keys = provide(IdempotencyKeys)
    access_endpoint = provide(AccessEndpoint)
    readiness = provide(PostgresReadiness, provides=Readiness)

    @provide
    def settings(self, settings: Settings) -> HttpSettings:
        """How the API behaves here."""
        return http_settings(settings)

    @provide
    def client_sources(self, settings: HttpSettings) -> ClientSources:
        """The sources of requests, behind this number of proxies."""
        return ClientSources(settings.trusted_proxies)

    @provide
    def request_authenticator(
        self, authenticate: Handler[Authenticate, Caller], settings: HttpSettings
    ) -> RequestAuthenticator:
        """The guard of all routes."""
        return RequestAuthenticator(authenticate, settings.cookie_name)


def http_settings(settings: Settings) -> HttpSettings:
    """Return the settings of the HTTP adapter."""
    return HttpSettings(
        secure=settings.is_production,
        test_clock=settings.test_clock,
        trusted_proxies=settings.trusted_proxies,
        metrics=settings.metrics_port is None,
        public_url=settings.public_url or "",
    )


def create_app() -> App:
    """What Granian calls in each worker process: the service by this process's environment.

    The worker also holds the embedded PostgreSQL, so that the server outlives a killed parent as long
    as a worker answers; no URL has to be handed over.

    Raises:
        SettingsInvalid, EmbeddedPostgresError: as the parent would have said before.
    """
    settings = load_settings(os.environ)
    configure_logging(settings.log_format, settings.log_level)
    if settings.database_url is not None:
        app = _app(settings, closing_unread_connections(settings.port), watch_parent())
    else:
        database = EmbeddedDatabase(settings.data_dir)
        opened = database.hold(settings)
        database_kept = embedded_database_kept_running(database, opened)
        app = _app(opened, database_kept, closing_unread_connections(settings.port), watch_parent())
    freeze_startup_objects()
    return app


def _app(settings: Settings, *lifespans: AbstractAsyncContextManager[None]) -> App:
    """The service, with traces where this process's environment asks for them."""
    if not are_traces_enabled(os.environ):
        return build_app(settings, build_container(settings, HttpProvider()), *lifespans)
    traces = start_traces(settings)
    container = build_container(settings, HttpProvider(), *traces.overrides)
    return traces.middleware(build_app(settings, container, traces.lifespan, *lifespans))


def build_app(settings: Settings, container: AsyncContainer, *lifespans: AbstractAsyncContextManager[None]) -> App:
    """The service over ``container``, which must have the :class:`HttpProvider` and is closed with the service.

    ``lifespans`` are open around it.
    """
    return create_http_app(
        HttpDependencies(
            container=container,
            settings=http_settings(settings),
            ids=Uuid7IdGenerator(),
            lifespans=(*lifespans, _at_work(settings, container)),
        )
    )


@asynccontextmanager
async def _at_work(settings: Settings, container: AsyncContainer) -> AsyncIterator[None]:
    """Run the jobs and sample the metrics while the service answers."""
    try:
        async with (
            (await container.get(Sampler)).running(),
            (await container.get(LoopLag)).running(),
            periodic_jobs(container, settings),
            first_admin_created(container, settings),
        ):
            _log.info("ready", address=settings.address)
            yield
    finally:
        await container.close()
