"""Passwords that everybody knows."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol


class CommonPasswords(Protocol):
    """A list of passwords that are tried first."""

    @abstractmethod
    def contains(self, password: str) -> bool:
        """Whether the password is on the list."""
