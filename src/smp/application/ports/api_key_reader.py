"""Reading API keys."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from smp.application.queries.views import ApiKeyView
from smp.domain.api_key import ApiKey


class ApiKeyReader(Protocol):
    """API keys to look at, and to know services by."""

    @abstractmethod
    async def find(self, digest: bytes) -> ApiKey | None:
        """The key with this digest, revoked or not."""

    @abstractmethod
    async def list(self) -> Sequence[ApiKeyView]:
        """All keys, oldest first."""
