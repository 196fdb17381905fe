"""Sign out every other browser, or, for an administrator, all of a user's."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.ports.unit_of_work import UnitOfWorkFactory


@dataclass(frozen=True, slots=True)
class RevokeSessions:
    """End all of the user's sessions but this one; ``None``: all of them."""

    user_id: UUID
    session_id: UUID | None


@dataclass(frozen=True, slots=True)
class RevokeSessionsHandler:
    """The session that asks goes on."""

    unit_of_work: UnitOfWorkFactory

    async def __call__(self, command: RevokeSessions) -> None:
        """End them."""
        async with self.unit_of_work() as work:
            await work.sessions.remove_all(command.user_id, but=command.session_id)
            await work.commit()
