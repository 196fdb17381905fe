"""The list of common passwords."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol


class CommonPasswords(Protocol):
    """A list of passwords that attackers try first."""

    @abstractmethod
    def contains(self, password: str) -> bool:
        """Return whether the password is on the list."""
