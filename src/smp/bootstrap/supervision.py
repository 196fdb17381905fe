"""The background tasks with which a worker process looks after its parent, its database and the first administrator."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
from dishka import AsyncContainer

from smp.application.errors import ApplicationError
from smp.bootstrap.background import in_background
from smp.bootstrap.database import EmbeddedDatabase
from smp.bootstrap.first_admin import LogStartupReporter, create_first_admin
from smp.bootstrap.settings import Settings
from smp.domain.errors import StorageIntegrityError

PARENT_CHECK_EVERY_S: Final = 1.0
DATABASE_CHECK_EVERY_S: Final = 2.0
FIRST_ADMIN_EVERY_S: Final = 2.0

_log = structlog.stdlib.get_logger("smp.serve")


@asynccontextmanager
async def first_admin_created(container: AsyncContainer, settings: Settings) -> AsyncIterator[None]:
    """Create the administrator of the settings if there is none, as soon as the database allows it.

    Usually ``smp serve`` has done so before the workers started. It has not if the database was not available then.
    """
    if not settings.is_production or settings.admin_email is None:
        yield
        return
    reporter = LogStartupReporter()

    async def create() -> None:
        while True:
            with suppress(ApplicationError, StorageIntegrityError):  # away, busy, or not migrated yet
                await create_first_admin(container, settings, reporter)
                return
            await asyncio.sleep(FIRST_ADMIN_EVERY_S)

    async with in_background(create, "first administrator"):
        yield


@asynccontextmanager
async def embedded_database_kept_running(
    database: EmbeddedDatabase, opened: Settings, every_s: float = DATABASE_CHECK_EVERY_S
) -> AsyncIterator[None]:
    """Start the embedded PostgreSQL again if it was killed, and release it at the end."""
    stopping = asyncio.Event()

    async def watch() -> None:
        while not stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), every_s)
                return
            try:
                if not database.answers(opened):
                    _log.warning("the embedded PostgreSQL is gone; starting it again")
                    await asyncio.to_thread(database.hold, opened)
            except Exception as error:  # noqa: BLE001 - the watch must outlive every error, such as a lack of descriptors
                _log.error("the embedded PostgreSQL cannot be checked or started", detail=str(error))

    task = asyncio.create_task(watch(), name="embedded database")
    try:
        yield
    finally:
        # Not cancelled: the thread that starts the server would continue, and start what is being released.
        stopping.set()
        await task
        database.let_go()


@asynccontextmanager
async def watch_parent() -> AsyncIterator[None]:
    """Stop this worker when its parent was killed, because nothing else would, and it would keep the port.

    The parent is the process that started the worker, even if it was killed before this was called.
    """
    started_by = multiprocessing.parent_process()
    parent = os.getppid() if started_by is None else started_by.pid

    async def watch() -> None:
        while os.getppid() == parent:  # noqa: ASYNC110 - no event reports it
            await asyncio.sleep(PARENT_CHECK_EVERY_S)
        _log.warning("the parent process was killed; stopping")
        os.kill(os.getpid(), signal.SIGTERM)

    async with in_background(watch, "parent"):
        yield
