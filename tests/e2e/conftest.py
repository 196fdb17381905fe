"""Fixtures of the tests of the whole program: the environment of its processes, and folders for their data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.processes import environment, short_folder

PASSWORD: Final = "correct horse battery staple"


@pytest.fixture(scope="session")
def environ(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> dict[str, str]:
    """Return the settings of a process, without its database; its expiry job runs only if a test sets an interval."""
    mine = tmp_path_factory.getbasetemp()
    bytecode = (mine if worker_id == "master" else mine.parent) / "bytecode"
    return environment(
        bytecode,
        SMP_ADMIN_EMAIL="root@example.com",
        SMP_ADMIN_PASSWORD=PASSWORD,
        SMP_SWEEP_INTERVAL_S="0",
        SMP_PURGE_INTERVAL_S="0",
        SMP_LOG_LEVEL="warning",
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return an empty folder for logs and the data of an embedded server."""
    with short_folder() as folder:
        yield folder
