"""Revoke an API key."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.event_metadata import EventMetadataFactory
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.domain.api_key import ApiKeyEventType


@dataclass(frozen=True, slots=True)
class RevokeApiKey:
    """The command to revoke the API key with this id."""

    key_id: UUID


@dataclass(frozen=True, slots=True)
class RevokeApiKeyHandler:
    """The handler of :class:`RevokeApiKey`. The service's next request is refused."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator

    async def __call__(self, command: RevokeApiKey, caller: Caller) -> bool:
        """Revoke the key, and return whether there was one that was not revoked yet."""
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work() as work:
            revoked_at = await work.api_keys.revoke(command.key_id, new_metadata.at)
            if revoked_at is not None:
                metadata = new_metadata().not_before(revoked_at)
                await work.events.record([metadata.event(ApiKeyEventType.REVOKED, command.key_id, {})])
            await work.commit()
        return revoked_at is not None
