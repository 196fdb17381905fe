"""The contract suite runs on every storage: what holds for one holds for all."""

from __future__ import annotations

import pytest

from tests.support.postgres_storage import postgres_storage
from tests.support.storage import Storage, memory_storage
from tests.support.use_cases import UseCases


@pytest.fixture(params=["memory", "postgres"])
def storage(request: pytest.FixtureRequest) -> Storage:
    """An empty storage; its clock may be set."""
    if request.param == "memory":
        return memory_storage()
    return postgres_storage(request.getfixturevalue("pool"))


@pytest.fixture
def use_cases(storage: Storage) -> UseCases:
    """All handlers over the storage."""
    return UseCases.over(storage)
