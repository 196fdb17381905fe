"""Sign out another browser."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.domain.errors import SessionNotFound


@dataclass(frozen=True, slots=True)
class RevokeSession:
    """End one of the user's sessions."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class RevokeSessionHandler:
    """Somebody else's session is as unknown as none."""

    unit_of_work: UnitOfWorkFactory

    async def __call__(self, command: RevokeSession, caller: Caller) -> None:
        """End it. Raises SessionNotFound."""
        async with self.unit_of_work() as work:
            if not await work.sessions.remove(command.user_id, command.session_id):
                raise SessionNotFound(command.session_id)
            await work.commit()
