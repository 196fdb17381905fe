"""Shut a service out."""

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
    """The operator revokes the key with this id."""

    key_id: UUID


@dataclass(frozen=True, slots=True)
class RevokeApiKeyHandler:
    """Works on the service's very next request."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator

    async def __call__(self, command: RevokeApiKey, caller: Caller) -> bool:
        """Revoke it; whether there was such a key that was not revoked."""
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work() as work:
            revoked = await work.api_keys.revoke(command.key_id, new_metadata.at)
            if revoked:
                await work.events.record([new_metadata().event(ApiKeyEventType.REVOKED, command.key_id, {})])
            await work.commit()
        return revoked
