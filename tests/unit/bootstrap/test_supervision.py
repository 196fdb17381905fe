"""The background tasks of a worker survive their errors."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

from smp.adapters.embedded_postgres.errors import StartFailed
from smp.bootstrap.database import EmbeddedDatabase
from smp.bootstrap.settings import Settings, load_settings
from smp.bootstrap.supervision import embedded_database_kept_running

NO_DESCRIPTORS = OSError(errno.EMFILE, "Too many open files")


class FailingDatabase(EmbeddedDatabase):
    """A database that is gone: some checks and some starts fail, until one start succeeds."""

    def __init__(self) -> None:
        self.checks: list[Exception | bool] = [NO_DESCRIPTORS, False, False, False]
        self.starts: list[Exception | None] = [NO_DESCRIPTORS, StartFailed("no"), None]
        self.started = asyncio.Event()
        self.is_released = False
        self._loop = asyncio.get_running_loop()

    def answers(self, opened: Settings) -> bool:
        """Raise or return the next result."""
        result = self.checks.pop(0) if self.checks else True
        if isinstance(result, Exception):
            raise result
        return result

    def hold(self, settings: Settings) -> Settings:
        """Raise the next error, or start."""
        if (error := self.starts.pop(0)) is not None:
            raise error
        self._loop.call_soon_threadsafe(self.started.set)
        return settings

    def let_go(self) -> None:
        """Take note of it."""
        self.is_released = True


async def test_the_watch_of_the_embedded_database_survives_every_error(tmp_path: Path) -> None:
    """Such as a lack of file descriptors, in the check or in the start."""
    database = FailingDatabase()
    async with embedded_database_kept_running(database, load_settings({"SMP_DATA_DIR": str(tmp_path)}), every_s=0.001):
        await asyncio.wait_for(database.started.wait(), 30)
    assert (database.checks, database.starts, database.is_released) == ([], [], True)
