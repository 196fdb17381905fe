"""The services behind the commands: settings, database and container, each opened when it is needed.

Slow imports are inside functions, so that ``smp --help`` is fast.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from smp import __version__
from smp.adapters.cli.runtime import (
    BackupOutcome,
    ByteProgress,
    CliServices,
    DemoOutcome,
    DemoProgress,
    Failure,
    HandlerProvider,
    MigrationOutcome,
    RestoreOutcome,
    SchemaState,
    SettingHelp,
    StartupReporter,
)
from smp.application.queries.views import CheckResult
from smp.bootstrap.passwords import new_password
from smp.bootstrap.settings import VARIABLES, LogLevel, Settings, SettingsInvalid, load_settings

# ruff: noqa: PLC0415 - see above


class ProcessServices(CliServices):
    """The services of a process with the given environment variables."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    @property
    def version(self) -> str:
        """The version of the program."""
        return __version__

    def settings_help(self) -> Sequence[SettingHelp]:
        """Describe all settings."""
        return [
            SettingHelp(
                variable.name,
                variable.default_text,
                variable.kind.expected_text,
                variable.description.replace("`", ""),
            )
            for variable in VARIABLES
        ]

    def explain(self, error: Exception) -> Failure:
        """Explain ``error``."""
        from smp.bootstrap.database import describe
        from smp.bootstrap.failures import explain

        try:
            database = describe(load_settings(self._environ))
        except SettingsInvalid:
            database = "of SMP_DATABASE_URL"
        return explain(error, database)

    def traceback_of(self, error: Exception) -> str | None:
        """Return the traceback if SMP_LOG_LEVEL is debug, even if other settings are invalid."""
        if self._environ.get("SMP_LOG_LEVEL") != LogLevel.DEBUG:
            return None
        from smp.bootstrap.logging import redact_text

        return redact_text("".join(traceback.format_exception(error))).rstrip()

    def new_password(self) -> str:
        """Return a password of 256 random bits."""
        return new_password()

    @asynccontextmanager
    async def use_cases(self) -> AsyncIterator[HandlerProvider]:
        """Open the database, require the schema of this version, and provide the handlers."""
        from smp.bootstrap.container import build_container
        from smp.bootstrap.database import ensure_schema, open_database
        from smp.bootstrap.heap import freeze_startup_objects

        with open_database(self._settings()) as opened:
            await ensure_schema(opened)
            container = build_container(opened)
            freeze_startup_objects()
            try:
                yield container
            finally:
                await container.close()

    def serve(self, reporter: StartupReporter, *, host: str | None, port: str | None) -> None:
        """Serve requests until the process is stopped."""
        from smp.bootstrap.serve import serve

        overrides = {"SMP_HOST": host, "SMP_PORT": port}
        given = {name: value for name, value in overrides.items() if value is not None}
        os.environ.update(given)  # worker processes read their settings from there
        self._environ = {**self._environ, **given}
        serve(self._settings(), reporter)

    async def schema_state(self) -> SchemaState:
        """Return the revision of the database's schema and the one that this version needs."""
        from smp.bootstrap.database import open_database, schema_state

        with open_database(self._settings()) as opened:
            return await schema_state(opened)

    async def migrate(self) -> MigrationOutcome:
        """Migrate the schema to the revision that this version needs."""
        from smp.bootstrap.database import bring_up_to_date, open_database

        with open_database(self._settings()) as opened:
            return await bring_up_to_date(opened)

    def migration_sql(self) -> str:
        """Return the SQL that creates the whole schema."""
        from smp.adapters.postgres import migrator

        return migrator.sql()

    async def load_demo(self, users: int, progress: DemoProgress) -> DemoOutcome:
        """Load demo data, unless the database has some already."""
        from smp.bootstrap.container import build_container
        from smp.bootstrap.database import ensure_schema, open_database
        from smp.bootstrap.demo.loading import load_demo
        from smp.bootstrap.demo.refusal import refuse_in_production

        settings = self._settings()
        refuse_in_production(settings)
        with open_database(settings) as opened:
            await ensure_schema(opened)
            container = build_container(opened)
            try:
                return await load_demo(container, users, progress)
            finally:
                await container.close()

    async def back_up(self, file: Path | None, progress: ByteProgress) -> BackupOutcome:
        """Write the database to the file, or to standard output."""
        from smp.bootstrap.backup import back_up

        return await back_up(self._settings(), self._environ, file, progress)

    async def restore(self, file: Path, progress: ByteProgress) -> RestoreOutcome:
        """Write the backup into the database."""
        from smp.bootstrap.backup import restore

        return await restore(self._settings(), self._environ, file, progress)

    async def diagnose(self) -> Sequence[CheckResult]:
        """Run the checks of ``smp doctor``; nothing is changed."""
        from smp.bootstrap.doctor import diagnose

        return await diagnose(self._environ)

    def _settings(self) -> Settings:
        from smp.bootstrap.logging import configure_logging

        settings = load_settings(self._environ)
        configure_logging(settings.log_format, settings.log_level)
        return settings
