"""Revoke all sessions of a user."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.event_metadata import EventMetadataFactory
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.session_revocation import record_revoked
from smp.domain.user.session import RevocationReason


@dataclass(frozen=True, slots=True)
class RevokeSessions:
    """The command to end all sessions of the user; with ``keep_current`` all except the caller's session."""

    user_id: UUID
    keep_current: bool = False


@dataclass(frozen=True, slots=True)
class RevokeSessionsHandler:
    """The handler of :class:`RevokeSessions`. The sessions have ended for every process when it returns."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator

    async def __call__(self, command: RevokeSessions, caller: Caller) -> None:
        """End the sessions. Raises UserNotFound."""
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work() as work:
            user = await work.users.get(command.user_id)
            revoked = await work.sessions.remove_all(
                user.id, except_=caller.session_id if command.keep_current else None
            )
            await record_revoked(work, user.id, revoked, RevocationReason.REVOKED, new_metadata)
            await work.commit()
