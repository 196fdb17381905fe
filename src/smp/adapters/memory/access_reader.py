"""The reader of entitlement snapshots in memory."""

from __future__ import annotations

from uuid import UUID

from smp.adapters.memory.store import MemoryStore
from smp.application.ports.access_reader import AccessReader
from smp.domain.access import EntitlementSnapshot


class MemoryAccessReader(AccessReader):
    """A reader of the entitlement snapshots of a store's users."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def snapshot(self, user_id: UUID) -> EntitlementSnapshot | None:
        """Return the snapshot of the user's newest subscription, or ``None`` if the user never subscribed."""
        state = self._store.state
        rows = (row for row in state.subscriptions.values() if row.user_id == user_id)
        newest = max(rows, key=lambda row: (row.starts_at, row.id), default=None)
        if newest is None:
            return None
        terms = state.revisions[newest.plan_id, newest.revision].terms
        plan = state.plans[newest.plan_id].code
        return EntitlementSnapshot(newest.status, newest.ends_at, newest.cancel_at, plan, terms.features)
