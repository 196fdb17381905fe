"""The marks of all tests, given by folder, and their event loop."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

import pytest

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


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Return the event loop of the product, which is asyncio only."""
    return "asyncio"
