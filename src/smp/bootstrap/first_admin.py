"""The first administrator, and the reports about a start in production."""

from __future__ import annotations

from typing import Final

import structlog
from dishka import AsyncContainer

from smp.adapters.cli.runtime import StartupReporter
from smp.application.caller import OPERATOR
from smp.application.commands.create_admin import CreateAdmin
from smp.application.execution import Handler
from smp.application.outcomes import UserOutcome
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.bootstrap.passwords import new_password
from smp.bootstrap.settings import Settings
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


async def create_first_admin(container: AsyncContainer, settings: Settings, reporter: StartupReporter) -> None:
    """Create the administrator of the settings, or in development one with a random password, if there is none.

    Raises:
        ValidationError: if the email or the password is not allowed.
        StorageUnavailable, StorageIntegrityError: if the database is not available or not migrated.
    """
    if settings.admin_email is None and settings.is_production:
        return
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
        reporter.notice(f"no administrator was created: {email} belongs to a user; create one with smp admin create")
        return
    if created is not None:
        reporter.admin_created(email, generated)
