"""The observer of a connection pool."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from smp.adapters.postgres.error_kinds import ErrorKind


class PoolObserver(Protocol):
    """An observer of the events of a pool."""

    @abstractmethod
    def acquired(self, waited_s: float) -> None:
        """Observe that a caller got a connection after this wait."""

    @abstractmethod
    def exhausted(self) -> None:
        """Observe that a caller got no connection in time."""

    @abstractmethod
    def failed(self, kind: ErrorKind) -> None:
        """Observe that a statement, or opening a connection, failed with this kind of error."""


class SilentPoolObserver(PoolObserver):
    """An observer for processes without metrics."""

    def acquired(self, waited_s: float) -> None:
        """Do nothing."""

    def exhausted(self) -> None:
        """Do nothing."""

    def failed(self, kind: ErrorKind) -> None:
        """Do nothing."""
