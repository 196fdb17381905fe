"""Spans of use cases."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager
from typing import Protocol


class UseCaseTracer(Protocol):
    """The tracing of use cases."""

    @abstractmethod
    def span(self, name: str) -> AbstractContextManager[None]:
        """Open a span with this name. It records how the use case ended, but no data of the command or the error."""
