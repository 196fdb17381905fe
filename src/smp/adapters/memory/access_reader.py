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
        """Return the snapshot of the subscription that decides the user's access, or ``None`` if there is none."""
        state = self._store.state
        rows = (row for row in state.subscriptions.values() if row.user_id == user_id)
        decisive = max(rows, key=lambda row: (row.is_live, row.starts_at, row.id), default=None)
        if decisive is None:
            return None
        terms = state.revisions[decisive.plan_id, decisive.revision].terms
        plan = state.plans[decisive.plan_id].code
        return EntitlementSnapshot(decisive.status, decisive.ends_at, decisive.cancel_at, plan, terms.features)
