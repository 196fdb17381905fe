"""List the API keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.ports.api_key_reader import ApiKeyReader
from smp.application.queries.views import ApiKeyView


@dataclass(frozen=True, slots=True)
class ListApiKeys:
    """The query for all API keys, including revoked ones."""


@dataclass(frozen=True, slots=True)
class ListApiKeysHandler:
    """The handler of :class:`ListApiKeys`."""

    api_keys: ApiKeyReader

    async def __call__(self, query: ListApiKeys, caller: Caller) -> Sequence[ApiKeyView]:
        """Return the keys without their secrets, oldest first."""
        return await self.api_keys.list()
