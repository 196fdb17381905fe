"""Use cases on the memory adapters, at an instant that only a test changes."""

from __future__ import annotations

import pytest

from smp.adapters.memory.store import MemoryStore
from tests.support.hashing import InstantHasher
from tests.support.payments import RecordedPayments
from tests.support.storage import Storage, memory_storage
from tests.support.use_cases import UseCases


@pytest.fixture
def store() -> MemoryStore:
    """Return an empty store."""
    return MemoryStore()


@pytest.fixture
def storage(store: MemoryStore) -> Storage:
    """Return all memory adapters over the store."""
    return memory_storage(store)


@pytest.fixture
def payments() -> RecordedPayments:
    """Return simulated payments that record each charge."""
    return RecordedPayments()


@pytest.fixture
def use_cases(storage: Storage, payments: RecordedPayments) -> UseCases:
    """Return all handlers over the store."""
    return UseCases.over(storage, hasher=InstantHasher(), payments=payments)
