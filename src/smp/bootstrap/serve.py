"""``smp serve``: prepare the database, then run the workers until the process is stopped."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack, suppress
from typing import Final

import structlog

from smp.adapters.cli.runtime import StartupReporter
from smp.adapters.security.common_passwords import CommonPasswordList
from smp.application.caller import OPERATOR
from smp.application.commands.create_admin import CreateAdmin
from smp.application.execution import Handler
from smp.application.outcomes import UserOutcome
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.bootstrap.container import build_container
from smp.bootstrap.database import describe, ensure_schema, open_database
from smp.bootstrap.passwords import new_password
from smp.bootstrap.port_check import reserve_port
from smp.bootstrap.settings import Environment, Settings, SettingsInvalid
from smp.bootstrap.signals import Terminated
from smp.bootstrap.tracing import are_traces_wanted
from smp.bootstrap.workers import run_workers, share_metrics
from smp.domain.errors import EmailTaken

FIRST_ADMIN_EMAIL: Final = "admin@localhost"
"""The first administrator in development, if the settings name none."""

_log = structlog.stdlib.get_logger("smp.serve")


class LogStartupReporter(StartupReporter):
    """A reporter that writes to the log, for production."""

    def notice(self, text: str) -> None:
        """Log a warning."""
        _log.warning(text)

    def admin_created(self, email: str, generated_password: str | None) -> None:
        """Log the email address only: a log must not have a password. None is generated in production."""
        if generated_password is not None:
            raise AssertionError("a generated password would be lost")
        _log.info("first administrator created", email=email)

    def starting(self, address: str, database: str) -> None:
        """Log the address and the database."""
        _log.info("starting", address=address, database=database)


def serve(settings: Settings, reporter: StartupReporter) -> None:
    """Serve requests until SIGTERM or SIGINT; then finish the running ones, and return.

    Raises:
        SettingsInvalid, PortUnavailable, EmbeddedPostgresError, SchemaMismatch, StorageUnavailable: if it
            cannot start.
        WorkersFailed: if the workers ended by themselves.
    """
    reporter = LogStartupReporter() if settings.environment is Environment.PRODUCTION else reporter
    _check_blocklist(settings)
    are_traces_wanted(os.environ)
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
    await ensure_schema(settings)
    if settings.admin_email is None and settings.is_production:
        return
    container = build_container(settings)
    try:
        unit_of_work = await container.get(UnitOfWorkFactory)
        async with unit_of_work() as work:
            if await work.users.lock_enabled_admins():
                return
        email = settings.admin_email or FIRST_ADMIN_EMAIL
        generated = None if settings.admin_password else new_password()
        create = await container.get(Handler[CreateAdmin, UserOutcome | None])
        try:
            command = CreateAdmin(email, settings.admin_password or generated or "", only_the_first=True)
            created = await create(command, OPERATOR)
        except EmailTaken:
            reporter.notice(
                f"no administrator was created: {email} belongs to a user; create one with smp admin create"
            )
            return
        if created is not None:
            reporter.admin_created(email, generated)
    finally:
        await container.close()
