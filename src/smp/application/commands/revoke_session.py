"""Revoke one session."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.event_metadata import EventMetadataFactory
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.session_revocation import record_revoked
from smp.domain.errors import SessionNotFound
from smp.domain.user.session import RevocationReason


@dataclass(frozen=True, slots=True)
class RevokeSession:
    """The command to end one of the user's sessions."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class RevokeSessionHandler:
    """The handler of :class:`RevokeSession`. A session of another user counts as not found."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator

    async def __call__(self, command: RevokeSession, caller: Caller) -> None:
        """End the session. Raises SessionNotFound."""
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work() as work:
            if not await work.sessions.remove(command.user_id, command.session_id):
                raise SessionNotFound(command.session_id)
            revoked = [command.session_id]
            await record_revoked(work, command.user_id, revoked, RevocationReason.REVOKED, new_metadata)
            await work.commit()
