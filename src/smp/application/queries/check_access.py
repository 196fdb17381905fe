"""May this user use this feature now?"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.ports.clock import Clock
from smp.application.queries.readers import AccessReader
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
    clock: Clock

    async def __call__(self, query: CheckAccess) -> AccessDecision:
        """The decision; denied where there is no such user."""
        standing = await self.access.standing(query.user_id)
        return decide(standing, query.feature, await self.clock.now())
