"""The reader port for API keys."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from smp.application.queries.views import ApiKeyView
from smp.domain.api_key import ApiKey


class ApiKeyReader(Protocol):
    """The reader of API keys, also for authentication."""

    @abstractmethod
    async def find(self, digest: bytes) -> ApiKey | None:
        """Return the key with this digest, revoked or not, or ``None``."""

    @abstractmethod
    async def list(self) -> Sequence[ApiKeyView]:
        """Return all keys, oldest first."""
