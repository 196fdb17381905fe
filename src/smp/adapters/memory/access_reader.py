"""The reader of entitlements in memory."""

from __future__ import annotations

from uuid import UUID

from smp.adapters.memory.store import MemoryStore
from smp.application.ports.access_reader import AccessReader
from smp.domain.access import EntitlementSnapshot, UserEntitlement
from smp.domain.errors import UserNotFound


class MemoryAccessReader(AccessReader):
    """A reader of the entitlements of a store's users."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def entitlement(self, user_id: UUID) -> UserEntitlement:
        """Return the user's switch, and the snapshot of the subscription that decides access. Raises UserNotFound."""
        user = self._store.state.users.get(user_id)
        if user is None:
            raise UserNotFound(user_id)
        return UserEntitlement(user.disabled, self._snapshot(user_id))

    def _snapshot(self, user_id: UUID) -> EntitlementSnapshot | None:
        state = self._store.state
        rows = (row for row in state.subscriptions.values() if row.user_id == user_id)
        decisive = max(rows, key=lambda row: (row.is_live, row.starts_at, row.id), default=None)
        if decisive is None:
            return None
        terms = state.revisions[decisive.plan_id, decisive.revision].terms
        plan = state.plans[decisive.plan_id].code
        return EntitlementSnapshot(decisive.status, decisive.ends_at, decisive.cancel_at, plan, terms.features)
