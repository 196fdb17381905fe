"""The marks of all tests, given by folder, and their event loop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import structlog

TESTS: Final = Path(__file__).parent
MARKS: Final = frozenset({"unit", "property", "contract", "integration", "e2e", "architecture", "delivery"})

# The server that the tests run on; asked for only by tests that need it.
pytest_plugins = ["tests.support.postgres"] if (TESTS / "support" / "postgres.py").exists() else []


def pytest_configure() -> None:
    """Handle Ctrl-C here and in all child processes: a shell starts background commands with SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test with the name of its folder. Reject a test in another folder: no part would run it."""
    for item in items:
        if not item.path.is_relative_to(TESTS):
            continue
        folder = item.path.relative_to(TESTS).parts[0]
        if folder not in MARKS:
            raise pytest.UsageError(f"{item.path}: tests belong into a folder of {', '.join(sorted(MARKS))}")
        item.add_marker(folder)


@pytest.fixture(autouse=True, scope="session")
def loggers_that_follow_the_configuration() -> Iterator[None]:
    """Never cache a logger: one that an earlier test cached would write past a later test that captures lines."""
    configure = structlog.configure

    def configure_without_cache(**settings: Any) -> None:  # noqa: ANN401 - those of structlog
        configure(**{**settings, "cache_logger_on_first_use": False})

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(structlog, "configure", configure_without_cache)
        yield


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Return the event loop of the product, which is asyncio only."""
    return "asyncio"
