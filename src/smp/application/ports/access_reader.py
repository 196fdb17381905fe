"""Reading what access is decided by."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol
from uuid import UUID

from smp.domain.access import EntitlementSnapshot


class AccessReader(Protocol):
    """What access is decided by; never read from a replica."""

    @abstractmethod
    async def standing(self, user_id: UUID) -> EntitlementSnapshot | None:
        """The user's newest subscription, in one round trip; ``None`` where there never was one."""
