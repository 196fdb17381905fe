"""Row locks between the transactions of one store, like those of a database."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Final

from smp.application.errors import TransactionConflict

WAIT_MAX_S: Final = 5.0
"""How long a transaction waits for a lock before it fails."""


class Locks:
    """Exclusive and shared locks that their owner holds until :meth:`release_all`.

    An owner fails if it would wait in a circle (a deadlock), or has waited for ``WAIT_MAX_S``.
    """

    def __init__(self) -> None:
        self._held: dict[Hashable, dict[object, bool]] = {}  # key -> owner -> whether it is shared
        self._waiting: dict[object, tuple[Hashable, bool]] = {}  # owner -> what it waits for
        self._wake_ups: set[asyncio.Future[None]] = set()

    async def take(self, owner: object, key: Hashable, *, shared: bool = False) -> None:
        """Take the lock, and wait for it if other owners hold it.

        Raises:
            TransactionConflict: if waiting would be a deadlock, or has taken too long.
        """
        if self._blockers(owner, key, shared=shared):
            self._waiting[owner] = (key, shared)
            try:
                async with asyncio.timeout(WAIT_MAX_S):
                    await self._until_free(owner, key, shared=shared)
            except TimeoutError:
                raise TransactionConflict from None
            finally:
                del self._waiting[owner]
        self._hold(owner, key, shared=shared)

    def take_if_free(self, owner: object, key: Hashable) -> bool:
        """Take the exclusive lock if it is free, without waiting, and return whether it was."""
        if self._blockers(owner, key, shared=False):
            return False
        self._hold(owner, key, shared=False)
        return True

    def release_all(self, owner: object) -> None:
        """Release all locks of ``owner``."""
        for key in [key for key, owners in self._held.items() if owner in owners]:
            del self._held[key][owner]
            if not self._held[key]:
                del self._held[key]
        for wake_up in self._wake_ups:
            if not wake_up.done():
                wake_up.set_result(None)

    def _hold(self, owner: object, key: Hashable, *, shared: bool) -> None:
        owners = self._held.setdefault(key, {})
        owners[owner] = owners.get(owner, True) and shared

    def _blockers(self, owner: object, key: Hashable, *, shared: bool) -> list[object]:
        """Return the other owners whose locks conflict with this one."""
        others = ((other, is_shared) for other, is_shared in self._held.get(key, {}).items() if other is not owner)
        return [other for other, is_shared in others if not (shared and is_shared)]

    async def _until_free(self, owner: object, key: Hashable, *, shared: bool) -> None:
        while blockers := self._blockers(owner, key, shared=shared):
            if any(self._waits_for(blocker, owner) for blocker in blockers):
                raise TransactionConflict
            wake_up = asyncio.get_running_loop().create_future()
            self._wake_ups.add(wake_up)
            try:
                await wake_up
            finally:
                self._wake_ups.discard(wake_up)

    def _waits_for(self, waiting: object, owner: object) -> bool:
        """Return whether ``waiting`` waits for ``owner``, directly or through others."""
        visited: set[object] = set()
        to_visit = [waiting]
        while to_visit:
            other = to_visit.pop()
            if other is owner:
                return True
            if other in visited or other not in self._waiting:
                continue
            visited.add(other)
            key, shared = self._waiting[other]
            to_visit.extend(self._blockers(other, key, shared=shared))
        return False
