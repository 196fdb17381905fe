"""Sign out."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.ports.unit_of_work import UnitOfWorkFactory


@dataclass(frozen=True, slots=True)
class LogOut:
    """End the session that asks."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class LogOutHandler:
    """The session is dead on the server, for every process, when this returns."""

    unit_of_work: UnitOfWorkFactory

    async def __call__(self, command: LogOut) -> None:
        """End it; where it is gone already there is nothing to do."""
        async with self.unit_of_work() as work:
            await work.sessions.remove(command.user_id, command.session_id)
            await work.commit()
