"""The limit on registrations."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol


class RegistrationThrottle(Protocol):
    """The counts of registrations by source, shared by all processes, in real time also if there is a test clock."""

    @abstractmethod
    async def attempt(self, source: str) -> None:
        """Count a registration from the source, before its password is hashed.

        Raises:
            TooManyRegistrations: if the source has to wait; then nothing is counted.
        """
