"""Sign out."""

from __future__ import annotations

from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.ports.unit_of_work import UnitOfWorkFactory


@dataclass(frozen=True, slots=True)
class LogOut:
    """End the caller's session."""


@dataclass(frozen=True, slots=True)
class LogOutHandler:
    """The session is dead on the server, for every process, when this returns."""

    unit_of_work: UnitOfWorkFactory

    async def __call__(self, command: LogOut, caller: Caller) -> None:
        """End it; where it is gone already there is nothing to do."""
        async with self.unit_of_work() as work:
            await work.sessions.remove(caller.user_id, caller.session)
            await work.commit()
