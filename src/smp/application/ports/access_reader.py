"""The reader port for entitlements."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol
from uuid import UUID

from smp.domain.access import UserEntitlement


class AccessReader(Protocol):
    """The reader of entitlements. It never reads from a replica."""

    @abstractmethod
    async def entitlement(self, user_id: UUID) -> UserEntitlement:
        """Return the user's switch, and the snapshot of the subscription that decides access, in one round trip.

        It is the one whose stored status is live, else the newest one.

        Raises:
            UserNotFound: if there is no such user.
        """
