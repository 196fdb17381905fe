"""Check whether a user may use a feature."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.ports.access_reader import AccessReader
from smp.application.ports.clock import Clock
from smp.application.ports.user_reader import UserReader
from smp.domain.access import AccessDecision, decide


@dataclass(frozen=True, slots=True)
class CheckAccess:
    """The query for the access decision about one feature."""

    user_id: UUID
    feature: str


@dataclass(frozen=True, slots=True)
class CheckAccessHandler:
    """The handler of :class:`CheckAccess`. It decides from the live or the newest subscription and the clock."""

    access: AccessReader
    users: UserReader
    clock: Clock

    async def __call__(self, query: CheckAccess, caller: Caller) -> AccessDecision:
        """Decide whether the user may use the feature now. Raises UserNotFound."""
        snapshot = await self.access.snapshot(query.user_id)
        if snapshot is None and not caller.is_user(query.user_id):
            await self.users.get(query.user_id)
        return decide(snapshot, query.feature, await self.clock.now())
