"""The reader port for entitlement snapshots."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol
from uuid import UUID

from smp.domain.access import EntitlementSnapshot


class AccessReader(Protocol):
    """The reader of entitlement snapshots. It never reads from a replica."""

    @abstractmethod
    async def snapshot(self, user_id: UUID) -> EntitlementSnapshot | None:
        """Return the snapshot of the subscription that decides the user's access, in one round trip.

        It is the one whose stored status is live, else the newest one; ``None`` if there never was one.
        """
