"""The brake on guessing passwords."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol


class LoginThrottle(Protocol):
    """Counts attempts by account and by source, for all processes together.

    An attempt is counted before the password is looked at, so that parallel attempts cannot outrun the count.
    """

    @abstractmethod
    async def attempt(self, account: str, source: str, now: datetime) -> None:
        """Count an attempt on the account from the source.

        Raises:
            TooManyAttempts: where one of the two has to wait; then nothing is counted.
        """

    @abstractmethod
    async def succeeded(self, account: str, source: str) -> None:
        """The password was right: forget the account's failures and do not hold this attempt against the source."""

    @abstractmethod
    async def cancel(self, account: str, source: str) -> None:
        """The attempt was not judged after all: do not count it."""
