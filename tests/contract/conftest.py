"""Fixtures of the contract tests, which run on every storage."""

from __future__ import annotations

import pytest

from tests.support.postgres_storage import postgres_storage
from tests.support.storage import Storage, memory_storage
from tests.support.use_cases import UseCases


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test once for each storage."""
    if "storage" in metafunc.fixturenames:
        metafunc.parametrize("storage", ["memory", "postgres"], indirect=True)


@pytest.fixture
def storage(request: pytest.FixtureRequest) -> Storage:
    """Return an empty storage whose clock can be set."""
    if request.param == "memory":
        return memory_storage()
    return postgres_storage(request.getfixturevalue("pool"))


@pytest.fixture
def use_cases(storage: Storage) -> UseCases:
    """Return the handlers of all use cases on the storage."""
    return UseCases.over(storage)
