"""The registration throttle in memory."""

from __future__ import annotations

from smp.adapters.memory.store import MemoryStore, ThrottleScope
from smp.adapters.memory.transaction import Transaction
from smp.application.attempt_limits import REGISTRATION_LIMIT
from smp.application.errors import TooManyRegistrations
from smp.application.ports.clock import RealTime
from smp.application.ports.registration_throttle import RegistrationThrottle


class MemoryRegistrationThrottle(RegistrationThrottle):
    """A registration throttle that counts in a store, in real time."""

    def __init__(self, store: MemoryStore, real_time: RealTime) -> None:
        self._store = store
        self._real_time = real_time

    async def attempt(self, source: str) -> None:
        """Count a registration. Raises TooManyRegistrations."""
        key = (ThrottleScope.SOURCE, f"registration {source}")
        transaction = Transaction(self._store)
        try:
            await transaction.lock(*key)
            now = await self._real_time.now()
            counted = transaction.attempts.get(key)
            if wait_s := REGISTRATION_LIMIT.wait_s(counted, now):
                raise TooManyRegistrations(wait_s)
            transaction.attempts.put(key, REGISTRATION_LIMIT.counted(counted, now))
            await transaction.commit()
        finally:
            transaction.end()
