"""Create an API key."""

from __future__ import annotations

from dataclasses import dataclass, field

from smp.application.caller import Caller
from smp.application.event_metadata import EventMetadataFactory
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.token_generator import TokenGenerator
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.queries.views import ApiKeyView
from smp.domain.api_key import ApiKey, ApiKeyEventType
from smp.domain.errors import ValidationError
from smp.domain.text import is_storable

NAME_MAX = 100


@dataclass(frozen=True, slots=True)
class CreateApiKey:
    """The command to create an API key for the service with this name."""

    name: str


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """The new key and its secret, which can be read only now."""

    key: ApiKeyView
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CreateApiKeyHandler:
    """The handler of :class:`CreateApiKey`. Only the SHA-256 digest of the secret is stored."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator
    tokens: TokenGenerator

    async def __call__(self, command: CreateApiKey, caller: Caller) -> NewApiKey:
        """Create the key. Raises ValidationError for a name that is blank or too long."""
        if not command.name.strip() or len(command.name) > NAME_MAX or not is_storable(command.name):
            raise ValidationError("/name", f"must be a text of 1 to {NAME_MAX} characters that are not all blank")
        secret = f"smp_{self.tokens.new()}"
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        key = ApiKey(self.ids.new(), command.name, self.tokens.digest(secret), new_metadata.at)
        async with self.unit_of_work() as work:
            await work.api_keys.add(key)
            await work.events.record([new_metadata().event(ApiKeyEventType.CREATED, key.id, {"name": key.name})])
            await work.commit()
        return NewApiKey(ApiKeyView(key.id, key.name, key.created_at, None), secret)
