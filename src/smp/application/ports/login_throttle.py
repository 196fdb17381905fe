"""The limit on sign-in attempts."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol


class LoginThrottle(Protocol):
    """The counts of sign-in attempts by account and by source, shared by all processes.

    An attempt is counted before the password is verified, so that parallel attempts cannot exceed the limit.
    """

    @abstractmethod
    async def attempt(self, account: str, source: str, now: datetime) -> None:
        """Count an attempt on the account from the source.

        Raises:
            TooManyAttempts: if the account or the source has to wait; then nothing is counted.
        """

    @abstractmethod
    async def succeeded(self, account: str, source: str) -> None:
        """Record a success: delete the account's count, and subtract this attempt from the source's count."""

    @abstractmethod
    async def cancel(self, account: str, source: str) -> None:
        """Subtract an attempt whose password was not verified."""
