"""``smp serve``: prepare the database, then run the workers until the process is stopped."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack, suppress

import structlog

from smp.adapters.cli.runtime import StartupReporter
from smp.adapters.security.common_passwords import CommonPasswordList
from smp.application.errors import OutcomeUnknown, StorageUnavailable
from smp.bootstrap.container import build_container
from smp.bootstrap.database import describe, ensure_schema, open_database
from smp.bootstrap.failures import database_trouble
from smp.bootstrap.first_admin import LogStartupReporter, create_first_admin
from smp.bootstrap.port_check import reserve_port
from smp.bootstrap.settings import Environment, Settings, SettingsInvalid
from smp.bootstrap.signals import Terminated
from smp.bootstrap.tracing import are_traces_enabled
from smp.bootstrap.workers import run_workers, share_metrics

_log = structlog.stdlib.get_logger("smp.serve")


def serve(settings: Settings, reporter: StartupReporter) -> None:
    """Serve requests until SIGTERM or SIGINT; then finish the running ones, and return.

    Raises:
        SettingsInvalid, PortUnavailable, EmbeddedPostgresError, SchemaMismatch: if it cannot start.
        StorageUnavailable: if it cannot start in development, because the database is not available.
        WorkersFailed: if the workers ended by themselves.
    """
    reporter = LogStartupReporter() if settings.environment is Environment.PRODUCTION else reporter
    _check_blocklist(settings)
    are_traces_enabled(os.environ)
    with ExitStack() as stack, suppress(Terminated, asyncio.CancelledError, KeyboardInterrupt):
        stack.enter_context(reserve_port(settings.host, settings.port, "SMP_PORT"))
        opened = stack.enter_context(open_database(settings, reporter.notice))
        asyncio.run(_prepare(opened, reporter))
        share_metrics(stack, settings)
        reporter.starting(settings.address, describe(settings))
        run_workers(settings)


def _check_blocklist(settings: Settings) -> None:
    if settings.password_blocklist is None:
        return
    try:
        CommonPasswordList(settings.password_blocklist).load()
    except (OSError, ValueError) as error:
        problem = f"SMP_PASSWORD_BLOCKLIST names {settings.password_blocklist}, which cannot be used: {error}"
        raise SettingsInvalid((problem,)) from error


async def _prepare(settings: Settings, reporter: StartupReporter) -> None:
    """Check or migrate the schema, and create the first administrator.

    In production a database that is not available is no reason to exit: the workers answer that they are not ready, and
    create the administrator later. In development it usually means that the URL is wrong, so the error is raised.
    """
    try:
        await ensure_schema(settings)
        container = build_container(settings)
        try:
            await create_first_admin(container, settings, reporter)
        finally:
            await container.close()
    except (StorageUnavailable, OutcomeUnknown) as error:
        if not settings.is_production:
            raise
        _log.warning("starting without the database", detail=database_trouble(error, describe(settings)))
