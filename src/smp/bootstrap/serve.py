"""``smp serve``: getting the database ready, then running the workers until told to stop."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import structlog

from smp.adapters.cli.runtime import StartAudience
from smp.adapters.security.common_passwords import CommonPasswordList
from smp.application.commands.create_admin import CreateAdmin, CreateAdminHandler
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.bootstrap.container import build_container
from smp.bootstrap.database import describe, ensure_schema, open_database
from smp.bootstrap.logging import logging_config
from smp.bootstrap.passwords import new_password
from smp.bootstrap.port_check import reserve_port
from smp.bootstrap.settings import Environment, Settings, SettingsInvalid
from smp.bootstrap.signals import Terminated
from smp.domain.errors import EmailTaken

FIRST_ADMIN_EMAIL: Final = "admin@localhost"
"""The first administrator of a development platform, where the settings name none."""

REQUESTS_AT_ONCE_MAX: Final = 256
"""Requests that a worker works on at once; the others wait in the kernel's queue."""

CONNECTIONS_WAITING_MAX: Final = 1_024
HEADERS_BYTES_MAX: Final = 32 * 1024
HEADERS_DEADLINE_MS: Final = 10_000

METRICS_FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"

_log = structlog.stdlib.get_logger("smp.serve")


class WorkersFailed(Exception):
    """The workers could not be kept running; the log has the reason."""


class LogAudience(StartAudience):
    """Tells the log, for nobody sits at the terminal."""

    def notice(self, text: str) -> None:
        """As a line of level warning."""
        _log.warning(text)

    def admin_made(self, email: str, generated_password: str | None) -> None:
        """Without the password: a log is kept. None is generated in production."""
        if generated_password is not None:
            raise AssertionError("a generated password would be lost")
        _log.info("first administrator made", email=email)

    def starting(self, address: str, database: str) -> None:
        """Where to look."""
        _log.info("starting", address=address, database=database)


def serve(settings: Settings, audience: StartAudience) -> None:
    """Answer requests until SIGTERM or SIGINT; then finish those under way, and return.

    Raises:
        SettingsInvalid, PortUnavailable, EmbeddedPostgresError, SchemaMismatch, StorageUnavailable: where it
            cannot start.
        WorkersFailed: where the workers ended by themselves.
    """
    audience = LogAudience() if settings.environment is Environment.PRODUCTION else audience
    _check_blocklist(settings)
    with ExitStack() as stack, suppress(Terminated, KeyboardInterrupt):
        stack.enter_context(reserve_port(settings.host, settings.port, "SMP_PORT"))
        opened = stack.enter_context(open_database(settings, audience.notice))
        asyncio.run(_prepare(opened, audience))
        _share_metrics(stack, settings)
        audience.starting(settings.address, describe(settings))
        _run_workers(settings)


def _check_blocklist(settings: Settings) -> None:
    if settings.password_blocklist is None:
        return
    try:
        CommonPasswordList(settings.password_blocklist).load()
    except (OSError, ValueError) as error:
        told = f"SMP_PASSWORD_BLOCKLIST names {settings.password_blocklist}, which cannot be used: {error}"
        raise SettingsInvalid((told,)) from error


async def _prepare(settings: Settings, audience: StartAudience) -> None:
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
        create = await container.get(CreateAdminHandler)
        try:
            made = await create(CreateAdmin(email, settings.admin_password or generated or "", only_the_first=True))
        except EmailTaken:
            audience.notice(f"{email} has an account that is no administrator's; smp admin create makes one")
            return
        if made is not None:
            audience.admin_made(email, generated)
    finally:
        await container.close()


def _share_metrics(stack: ExitStack, settings: Settings) -> None:
    """Give the workers a folder for their figures where one answer has to be made of all of them."""
    if settings.workers == 1 and settings.metrics_port is None:
        return
    # Before the client library is imported, which looks for it once.
    folder = tempfile.mkdtemp(prefix="smp-metrics-")
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    os.environ[METRICS_FOLDER_VARIABLE] = folder
    stack.callback(os.environ.pop, METRICS_FOLDER_VARIABLE, None)
    if settings.metrics_port is not None:
        _serve_metrics(stack, settings.host, settings.metrics_port, Path(folder))


def _serve_metrics(stack: ExitStack, host: str, port: int, folder: Path) -> None:
    from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415 - see above
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

    stack.enter_context(reserve_port(host, port, "SMP_METRICS_PORT")).close()
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    server, thread = start_http_server(port, addr=host, registry=registry)
    # A worker that outlives this process must not keep the port.
    os.register_at_fork(after_in_child=server.socket.close)
    stack.callback(thread.join, 5)
    stack.callback(server.server_close)
    stack.callback(server.shutdown)


def _run_workers(settings: Settings) -> None:
    from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes  # noqa: PLC0415 - wanted here only
    from granian.http import HTTP1Settings  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415
    from granian.server import Server  # noqa: PLC0415

    server = Server(
        "smp.bootstrap.http:create_app",
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        runtime_mode=RuntimeModes.st,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=CONNECTIONS_WAITING_MAX,
        backpressure=REQUESTS_AT_ONCE_MAX,
        http1_settings=HTTP1Settings(header_read_timeout=HEADERS_DEADLINE_MS, max_buffer_size=HEADERS_BYTES_MAX),
        log_level=LogLevels.warning,
        log_dictconfig=logging_config(settings.log_format, settings.log_level),
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=settings.shutdown_grace_s,
    )
    try:
        server.serve()
    except SystemExit as ended:
        if ended.code:
            raise WorkersFailed("the workers ended by themselves; the lines above say why") from ended
    _log.info("stopped")
