"""Every contract test runs on every storage."""

from __future__ import annotations

from typing import Final

import pytest

from tests.support.postgres_storage import postgres_storage
from tests.support.storage import Storage, memory_storage
from tests.support.use_cases import UseCases

DEALT_OUT: Final = frozenset(
    f"test_{module}"
    for module in (
        "retention_cleanup",
        "idempotency",
        "integrity_checker",
        "races",
        "session_reader",
        "session_repository",
        "statistics_reader",
        "subscription_repository",
        "unit_of_work",
        "user_repository",
    )
)
"""The modules whose cases run on a database in partitions as well: those of what is kept by a user, and of who wins."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each case once for each storage."""
    if "storage" in metafunc.fixturenames:
        also = ["partitioned"] if metafunc.module.__name__.rpartition(".")[2] in DEALT_OUT else []
        metafunc.parametrize("storage", ["memory", "postgres", *also], indirect=True)


@pytest.fixture
def storage(request: pytest.FixtureRequest) -> Storage:
    """An empty storage whose clock may be set."""
    if request.param == "memory":
        return memory_storage()
    return postgres_storage(request.getfixturevalue("pool" if request.param == "postgres" else "partitioned_pool"))


@pytest.fixture
def use_cases(storage: Storage) -> UseCases:
    """The handlers of all use cases, on the storage."""
    return UseCases.over(storage)
