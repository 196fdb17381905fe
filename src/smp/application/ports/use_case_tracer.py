"""Spans of use cases."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager
from typing import Protocol


class UseCaseTracer(Protocol):
    """Opens a span around a use case."""

    @abstractmethod
    def span(self, name: str) -> AbstractContextManager[None]:
        """A span of this name, which records how the use case ended: nothing of the command, and no error's text."""
