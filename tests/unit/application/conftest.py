"""Every use case on the memory adapters, at an instant that stands until a test moves it."""

from __future__ import annotations

import pytest

from smp.adapters.memory.store import MemoryStore
from tests.support.hashing import InstantHasher
from tests.support.payments import RecordedPayments
from tests.support.storage import Storage, memory_storage
from tests.support.use_cases import UseCases


@pytest.fixture
def store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()


@pytest.fixture
def storage(store: MemoryStore) -> Storage:
    """All memory adapters over the store."""
    return memory_storage(store)


@pytest.fixture
def payments() -> RecordedPayments:
    """Simulated payments that keep what was asked for."""
    return RecordedPayments()


@pytest.fixture
def use_cases(storage: Storage, payments: RecordedPayments) -> UseCases:
    """All handlers over the store."""
    return UseCases.over(storage, hasher=InstantHasher(), payments=payments)
