"""May this user use this feature now?"""

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
    """Ask whether the user may use the feature at this instant."""

    user_id: UUID
    feature: str


@dataclass(frozen=True, slots=True)
class CheckAccessHandler:
    """Decides from the newest subscription and the clock; whether a sweep came by plays no part."""

    access: AccessReader
    users: UserReader
    clock: Clock

    async def __call__(self, query: CheckAccess, caller: Caller) -> AccessDecision:
        """The decision. Raises UserNotFound."""
        standing = await self.access.standing(query.user_id)
        if standing is None and not caller.is_user(query.user_id):
            await self.users.get(query.user_id)
        return decide(standing, query.feature, await self.clock.now())
