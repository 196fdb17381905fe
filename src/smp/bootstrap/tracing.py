"""Traces, if the environment asks for them; otherwise nothing of OpenTelemetry is imported.

The OpenTelemetry specification defines the variables; their names begin with ``OTEL_``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final
from urllib.parse import unquote, urlsplit

from dishka import Provider, Scope

from smp import __version__
from smp.adapters.http.asgi import App
from smp.adapters.postgres.connecting import ConnectionClass
from smp.adapters.postgres.urls import server_urls
from smp.bootstrap.execution import UseCaseTracing
from smp.bootstrap.settings import Settings, SettingsInvalid

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
EXPORTER: Final = "OTEL_TRACES_EXPORTER"
DISABLED: Final = "OTEL_SDK_DISABLED"
PROTOCOL: Final = "http/protobuf"
PACKAGES: Final = (
    "opentelemetry.sdk",
    "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry.instrumentation.asgi",
)
SEMANTIC_CONVENTIONS: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"


@dataclass(frozen=True, slots=True)
class Traces:
    """The parts of a process that sends traces: overrides of the container, a middleware, and a lifespan."""

    overrides: tuple[Provider, ...]
    middleware: Callable[[App], App]
    lifespan: AbstractAsyncContextManager[None]


def are_traces_enabled(environ: Mapping[str, str]) -> bool:
    """Whether the environment names a destination for traces, and does not switch them off.

    Raises:
        SettingsInvalid: if it asks for another exporter or protocol, or if the packages are not installed.
    """
    exporter = environ.get(EXPORTER, "").strip().lower()
    if environ.get(DISABLED, "").strip().lower() == "true" or exporter == "none":
        return False
    if not exporter and not any(environ.get(name, "").strip() for name in ENDPOINTS):
        return False
    problems = [f"{EXPORTER} must be otlp or none, not {exporter!r}"] if exporter not in {"", "otlp"} else []
    given = next((name for name in PROTOCOLS if environ.get(name, "").strip()), None)
    if given is not None and environ[given].strip() != PROTOCOL:
        problems.append(f"{given} must be {PROTOCOL}, which collectors accept on port 4318, not {environ[given]!r}")
    if not all(map(_is_installed, PACKAGES)):
        problems.append("OTEL_ variables ask for traces, which need more packages: install smp[otel]")
    if problems:
        raise SettingsInvalid(tuple(problems))
    return True


def start_traces(settings: Settings) -> Traces:
    """Start sending the spans of this process; only if :func:`are_traces_enabled`."""
    # The instrumentation reports the stable names of attributes only if asked.
    os.environ.setdefault(SEMANTIC_CONVENTIONS, "http")
    # Imported here, so that a process without traces neither needs nor imports the packages.
    from smp.adapters.opentelemetry.requests import TracedApp  # noqa: PLC0415
    from smp.adapters.opentelemetry.statements import traced_connection_class  # noqa: PLC0415
    from smp.adapters.opentelemetry.tracing import Tracing  # noqa: PLC0415
    from smp.adapters.opentelemetry.use_cases import OpenTelemetryUseCaseTracer  # noqa: PLC0415

    tracing = Tracing(__version__)
    tracer = tracing.tracer
    url = server_urls(settings.database_url)[0] if settings.database_url else ""
    database = unquote(urlsplit(url).path.strip("/"))
    provider = Provider(scope=Scope.APP)
    use_cases = UseCaseTracing(OpenTelemetryUseCaseTracer(tracer))
    provider.provide(lambda: use_cases, provides=UseCaseTracing, override=True)

    connection_class = ConnectionClass(traced_connection_class(tracer, database))
    provider.provide(lambda: connection_class, provides=ConnectionClass, override=True)
    return Traces((provider,), lambda app: TracedApp(app, tracing.provider), _closing(tracing.close))


@asynccontextmanager
async def _closing(close: Callable[[], None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await asyncio.to_thread(close)


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False
