"""Argon2id in separate threads, a limited number at a time."""

from __future__ import annotations

import asyncio
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Final, TypeVar

from argon2 import PasswordHasher as Argon2
from argon2 import Type
from argon2.exceptions import Argon2Error, InvalidHashError, VerifyMismatchError
from argon2.low_level import hash_secret_raw

from smp.application.errors import Overloaded
from smp.application.ports.password_hasher import PasswordHasher, Verification

SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
RETRY_AFTER_S: Final = 1

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Argon2Cost:
    """What one hash costs; the defaults are the OWASP Password Storage Cheat Sheet's least for Argon2id."""

    memory_kib: int = 19_456
    passes: int = 2
    lanes: int = 1


class Argon2PasswordHasher(PasswordHasher):
    """Argon2id (RFC 9106): ``concurrency`` hashes at a time, ``queue`` more wait, and any further one is refused.

    Verifications (sign-ins) and new hashes (registrations) have ``queue`` places each, so that a flood of the ones does
    not refuse the others. At most ``concurrency`` times ``cost.memory_kib`` is in use, and a caller waits for two
    queues at most.
    Passwords are compared in Unicode normalization form C (UAX #15), so that a word typed on two systems is one word.
    """

    def __init__(self, cost: Argon2Cost | None = None, *, concurrency: int = 2, queue: int = 32) -> None:
        self._cost = cost or Argon2Cost()
        self._argon2 = Argon2(
            time_cost=self._cost.passes,
            memory_cost=self._cost.memory_kib,
            parallelism=self._cost.lanes,
            hash_len=HASH_BYTES,
            salt_len=SALT_BYTES,
            type=Type.ID,
        )
        self._nobodys_hash = _unmatchable_hash(self._cost)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="argon2")
        self._concurrency = concurrency
        self._verifications = _Places(concurrency + queue)
        self._new_hashes = _Places(concurrency + queue)

    @property
    def running(self) -> int:
        """How many passwords are being hashed."""
        return min(self._taken, self._concurrency)

    @property
    def waiting(self) -> int:
        """How many wait for a thread."""
        return max(self._taken - self._concurrency, 0)

    @property
    def _taken(self) -> int:
        return self._verifications.taken + self._new_hashes.taken

    async def hash(self, password: str) -> str:
        """A salted hash in the PHC string format. Raises Busy where the queue is full."""
        return await self._in_thread(self._new_hashes, lambda: self._argon2.hash(_bytes(password)))

    async def verify(self, password_hash: str | None, password: str) -> Verification:
        """Whether ``password`` made this hash; ``None``, and a hash in an unknown format, never match.

        Both take as long as a wrong password does. Raises Busy where the queue is full.
        """
        return await self._in_thread(self._verifications, lambda: self._verify(password_hash, _bytes(password)))

    async def digest(self, secret: str, salt: bytes) -> bytes:
        """The raw Argon2id of ``secret``, which is the same for the same ``salt`` (at least 8 bytes).

        Raises Busy where the queue is full.
        """
        return await self._in_thread(self._new_hashes, lambda: self._digest(_bytes(secret), salt))

    def close(self) -> None:
        """Let the hashes under way end, drop those that wait, and give the threads back."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _verify(self, password_hash: str | None, password: bytes) -> Verification:
        if password_hash is not None:
            try:
                self._argon2.verify(password_hash, password)
                return Verification(matches=True, needs_rehash=self._argon2.check_needs_rehash(password_hash))
            except VerifyMismatchError:
                return Verification(matches=False)
            except (Argon2Error, InvalidHashError, UnicodeEncodeError):
                pass  # Not a hash, so no password matches; continue, so that it takes as long.
        with suppress(Argon2Error):
            self._argon2.verify(self._nobodys_hash, password)
        return Verification(matches=False)

    def _digest(self, secret: bytes, salt: bytes) -> bytes:
        cost = self._cost
        return hash_secret_raw(secret, salt, cost.passes, cost.memory_kib, cost.lanes, HASH_BYTES, Type.ID)

    async def _in_thread(self, places: _Places, work: Callable[[], Result]) -> Result:
        places.take()
        try:
            future: Future[Result] = self._threads.submit(work)
        except BaseException:
            places.give_back()
            raise
        # The place is given back when the thread is done, even if the caller was cancelled.
        future.add_done_callback(lambda _: places.give_back())
        return await asyncio.wrap_future(future)


class _Places:
    """A number of places that several threads take and give back."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = Lock()
        self.taken = 0

    def take(self) -> None:
        """Take a place. Raises Overloaded if none is free."""
        with self._lock:
            if self.taken == self._count:
                raise Overloaded("too many passwords are being hashed; try again in a second", RETRY_AFTER_S)
            self.taken += 1

    def give_back(self) -> None:
        """Give a place back."""
        with self._lock:
            self.taken -= 1


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _unmatchable_hash(cost: Argon2Cost) -> str:
    """Return a hash of this cost that no password matches; verification takes as long as with a real one."""
    salt, digest = (b64encode(bytes(length)).decode().rstrip("=") for length in (SALT_BYTES, HASH_BYTES))
    return f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}${salt}${digest}"
