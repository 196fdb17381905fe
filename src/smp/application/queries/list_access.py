"""List the entitlements of a user."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.ports.access_reader import AccessReader
from smp.application.ports.clock import Clock
from smp.application.queries.views import AccessView
from smp.domain.features import features
from smp.domain.subscription.lifecycle import LIVE


@dataclass(frozen=True, slots=True)
class ListAccess:
    """The query for all features that the user has now."""

    user_id: UUID


@dataclass(frozen=True, slots=True)
class ListAccessHandler:
    """The handler of :class:`ListAccess`. The features are those of the live subscription's revision."""

    access: AccessReader
    clock: Clock

    async def __call__(self, query: ListAccess, caller: Caller) -> AccessView:
        """Return the user's features; none for a disabled user, or without a live subscription. Raises UserNotFound."""
        entitlement = await self.access.entitlement(query.user_id)
        snapshot, disabled = entitlement.snapshot, entitlement.disabled
        if snapshot is None:
            return AccessView(query.user_id, None, None, features({}), None, disabled)
        status = snapshot.status_at(await self.clock.now())
        if disabled or status not in LIVE:
            return AccessView(query.user_id, status, snapshot.plan, features({}), None, disabled)
        return AccessView(query.user_id, status, snapshot.plan, snapshot.features, snapshot.access_ends_at, disabled)
