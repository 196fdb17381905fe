"""Reports of failures to the operator."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol
from uuid import UUID


class ErrorReporter(Protocol):
    """The receiver of failures after which a use case continues."""

    @abstractmethod
    def expiry_failed(self, subscription_id: UUID, failure: Exception) -> None:
        """Report that the expiry job could not end this subscription. It continues with the others."""
