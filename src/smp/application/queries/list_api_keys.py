"""Which services have keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.ports.api_key_reader import ApiKeyReader
from smp.application.queries.views import ApiKeyView


@dataclass(frozen=True, slots=True)
class ListApiKeys:
    """All of them, revoked ones too."""


@dataclass(frozen=True, slots=True)
class ListApiKeysHandler:
    """Oldest first."""

    api_keys: ApiKeyReader

    async def __call__(self, query: ListApiKeys, caller: Caller) -> Sequence[ApiKeyView]:
        """The keys, without their secrets."""
        return await self.api_keys.list()
