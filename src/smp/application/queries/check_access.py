"""Check whether a user may use a feature."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.ports.access_reader import AccessReader
from smp.application.ports.clock import Clock
from smp.domain.access import AccessDecision


@dataclass(frozen=True, slots=True)
class CheckAccess:
    """The query for the access decision about one feature."""

    user_id: UUID
    feature: str


@dataclass(frozen=True, slots=True)
class CheckAccessHandler:
    """The handler of :class:`CheckAccess`. It decides from the account, its subscription and the clock."""

    access: AccessReader
    clock: Clock

    async def __call__(self, query: CheckAccess, caller: Caller) -> AccessDecision:
        """Decide whether the user may use the feature now. Raises UserNotFound."""
        entitlement = await self.access.entitlement(query.user_id)
        return entitlement.decide(query.feature, await self.clock.now())
