"""What a pool of connections reports about itself."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from smp.adapters.postgres.error_kinds import ErrorKind


class PoolObserver(Protocol):
    """An observer of the events of a pool."""

    @abstractmethod
    def acquired(self, waited_s: float) -> None:
        """A caller got a connection after waiting so long."""

    @abstractmethod
    def exhausted(self) -> None:
        """A caller got none in time."""

    @abstractmethod
    def failed(self, kind: ErrorKind) -> None:
        """A statement, or opening a connection, failed with this kind of error."""


class SilentPoolObserver(PoolObserver):
    """An observer for processes without metrics."""

    def acquired(self, waited_s: float) -> None:
        """Ignore it."""

    def exhausted(self) -> None:
        """Ignore it."""

    def failed(self, kind: ErrorKind) -> None:
        """Ignore it."""
