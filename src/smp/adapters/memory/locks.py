"""Row locks between the transactions of one store, as a database has them."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Final

from smp.application.errors import TransactionConflict

WAIT_MAX_S: Final = 5.0
"""How long a transaction waits for another before it is given up."""


class Locks:
    """Exclusive and shared locks, held until their owner lets all of its locks go.

    Who would wait in a circle, or has waited for ``WAIT_MAX_S``, is given up.
    """

    def __init__(self) -> None:
        self._held: dict[Hashable, dict[object, bool]] = {}  # key -> owner -> whether it is shared
        self._waiting: dict[object, tuple[Hashable, bool]] = {}  # owner -> what it waits for
        self._wake_ups: set[asyncio.Future[None]] = set()

    async def take(self, owner: object, key: Hashable, *, shared: bool = False) -> None:
        """Take the lock as soon as nobody else stands in the way.

        Raises:
            TransactionConflict: where ``owner`` would wait for itself in the end, or has waited too long.
        """
        if self._in_the_way(owner, key, shared=shared):
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
        """Take the exclusive lock without waiting; whether it could be had."""
        if self._in_the_way(owner, key, shared=False):
            return False
        self._hold(owner, key, shared=False)
        return True

    def release_all(self, owner: object) -> None:
        """Let everything go that ``owner`` holds."""
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

    def _in_the_way(self, owner: object, key: Hashable, *, shared: bool) -> list[object]:
        others = ((other, is_shared) for other, is_shared in self._held.get(key, {}).items() if other is not owner)
        return [other for other, is_shared in others if not (shared and is_shared)]

    async def _until_free(self, owner: object, key: Hashable, *, shared: bool) -> None:
        while blockers := self._in_the_way(owner, key, shared=shared):
            if any(self._waits_for(blocker, owner) for blocker in blockers):
                raise TransactionConflict
            wake_up = asyncio.get_running_loop().create_future()
            self._wake_ups.add(wake_up)
            try:
                await wake_up
            finally:
                self._wake_ups.discard(wake_up)

    def _waits_for(self, waiting: object, owner: object) -> bool:
        """Whether ``waiting`` waits for ``owner``, directly or through others."""
        seen: set[object] = set()
        to_ask = [waiting]
        while to_ask:
            asked = to_ask.pop()
            if asked is owner:
                return True
            if asked in seen or asked not in self._waiting:
                continue
            seen.add(asked)
            key, shared = self._waiting[asked]
            to_ask.extend(self._in_the_way(asked, key, shared=shared))
        return False
