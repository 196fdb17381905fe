"""Sign a user out of every browser."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.ports.unit_of_work import UnitOfWorkFactory


@dataclass(frozen=True, slots=True)
class RevokeSessions:
    """End all of the user's sessions; with ``keep_current`` the caller's own goes on."""

    user_id: UUID
    keep_current: bool = False


@dataclass(frozen=True, slots=True)
class RevokeSessionsHandler:
    """The sessions end on the server at once, for every process."""

    unit_of_work: UnitOfWorkFactory

    async def __call__(self, command: RevokeSessions, caller: Caller) -> None:
        """End them. Raises UserNotFound."""
        async with self.unit_of_work() as work:
            user = await work.users.get(command.user_id)
            await work.sessions.remove_all(user.id, but=caller.session_id if command.keep_current else None)
            await work.commit()
