"""Telling the operator what could not be done."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol
from uuid import UUID


class ErrorReporter(Protocol):
    """Where use cases that go on after a failure report it."""

    @abstractmethod
    def expiry_failed(self, subscription_id: UUID, failure: Exception) -> None:
        """The sweep could not end this subscription; it goes on with the others."""
