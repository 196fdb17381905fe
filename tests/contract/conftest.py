"""The contract suite runs on every storage: what holds for one holds for all."""

from __future__ import annotations

import pytest

from tests.support.storage import Storage, memory_storage
from tests.support.use_cases import UseCases


@pytest.fixture(params=["memory", "postgres"])
def storage(request: pytest.FixtureRequest) -> Storage:
    """An empty storage; its clock may be set."""
    if request.param == "memory":
        return memory_storage()
    result: Storage = request.getfixturevalue("postgres_storage")
    return result


@pytest.fixture
def use_cases(storage: Storage) -> UseCases:
    """All handlers over the storage."""
    return UseCases.over(storage)
