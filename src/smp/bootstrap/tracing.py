"""Traces, where the standard OpenTelemetry environment asks for them; where it does not, nothing of them is there.

The variables begin with ``OTEL_`` and are not ours: the OpenTelemetry specification says what each of them means.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final
from urllib.parse import unquote, urlsplit

from dishka import Provider, Scope

from smp import __version__
from smp.adapters.http.asgi import App
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.replica_reads import ReplicaReads
from smp.adapters.postgres.statements import Connection
from smp.adapters.postgres.urls import server_urls
from smp.bootstrap.execution import UseCaseTracing
from smp.bootstrap.settings import Settings, SettingsInvalid

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
EXPORTER: Final = "OTEL_TRACES_EXPORTER"
DISABLED: Final = "OTEL_SDK_DISABLED"
PROTOCOL: Final = "http/protobuf"


@dataclass(frozen=True, slots=True)
class Traces:
    """What a process that traces puts around itself: overrides of the container, a layer, and something to close."""

    overrides: tuple[Provider, ...]
    around: Callable[[App], App]
    lifespan: AbstractAsyncContextManager[None]


def are_traces_wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment names a place for traces, and does not say that it wants none.

    Raises:
        SettingsInvalid: where it asks for what is not here: another exporter or protocol, or packages that are missing.
    """
    exporter = environ.get(EXPORTER, "").strip().lower()
    if environ.get(DISABLED, "").strip().lower() == "true" or exporter == "none":
        return False
    if not exporter and not any(environ.get(name, "").strip() for name in ENDPOINTS):
        return False
    problems = [f"{EXPORTER} must be otlp or none, not {exporter!r}"] if exporter not in {"", "otlp"} else []
    given = next((name for name in PROTOCOLS if environ.get(name, "").strip()), None)
    if given is not None and environ[given].strip() != PROTOCOL:
        problems.append(f"{given} must be {PROTOCOL}, which collectors take on port 4318, not {environ[given]!r}")
    if find_spec("opentelemetry.sdk") is None or find_spec("opentelemetry.exporter.otlp.proto.http") is None:
        problems.append("traces are asked for by OTEL_ variables and need more packages: install smp[otel]")
    if problems:
        raise SettingsInvalid(tuple(problems))
    return True


def start_traces(settings: Settings) -> Traces:
    """Begin to send spans of this process. :func:`are_traces_wanted` must have said yes."""
    # Imported here only: whoever does not trace does not pay for it, nor needs the packages.
    from smp.adapters.opentelemetry.requests import TracedApp  # noqa: PLC0415
    from smp.adapters.opentelemetry.statements import TracedConnection  # noqa: PLC0415
    from smp.adapters.opentelemetry.tracing import Tracing  # noqa: PLC0415
    from smp.adapters.opentelemetry.use_cases import OpenTelemetryUseCaseTracer  # noqa: PLC0415

    tracing = Tracing(__version__)
    tracer = tracing.tracer
    url = server_urls(settings.database_url)[0] if settings.database_url else ""
    database = unquote(urlsplit(url).path.strip("/"))
    provider = Provider(scope=Scope.APP)
    use_cases = UseCaseTracing(OpenTelemetryUseCaseTracer(tracer))
    provider.provide(lambda: use_cases, provides=UseCaseTracing, override=True)

    def with_spans(connection: Connection) -> Connection:
        return TracedConnection(connection, tracer, database)

    def pool_with_spans(pool: PostgresPool) -> PostgresPool:
        return pool.set_connection_factory(with_spans)

    def lists_with_spans(lists: ReplicaReads) -> ReplicaReads:
        return lists.set_connection_factory(with_spans)

    provider.decorate(pool_with_spans, provides=PostgresPool)
    provider.decorate(lists_with_spans, provides=ReplicaReads)
    return Traces((provider,), lambda app: TracedApp(app, tracer), _closing(tracing.close))


@asynccontextmanager
async def _closing(close: Callable[[], None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await asyncio.to_thread(close)
