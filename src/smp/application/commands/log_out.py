"""Sign out."""

from __future__ import annotations

from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.event_metadata import EventMetadataFactory
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.session_revocation import record_revoked
from smp.domain.user.session import RevocationReason


@dataclass(frozen=True, slots=True)
class LogOut:
    """The command to end the caller's session."""


@dataclass(frozen=True, slots=True)
class LogOutHandler:
    """The handler of :class:`LogOut`. The session has ended for every process when it returns."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator

    async def __call__(self, command: LogOut, caller: Caller) -> None:
        """End the session, if it has not ended already."""
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work() as work:
            if await work.sessions.remove(caller.user_id, caller.session):
                await record_revoked(work, caller.user_id, [caller.session], RevocationReason.LOGOUT, new_metadata)
            await work.commit()
